"""The sample app's page, as a person uses it in a browser."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect


class Visit:
    """A page, and what a person does on it."""

    def __init__(self, page: Page, question: str) -> None:
        self.page = page
        self.question = question
        self.complaints: list[str] = []
        page.on("console", lambda said: said.type in {"error", "warning"} and self.note(said.text))
        page.on("pageerror", lambda error: self.note(str(error)))
        page.on("requestfailed", lambda request: self.note(f"failed: {request.url}"))
        page.on("response", lambda answer: answer.ok or self.note(f"{answer.status} {answer.url}"))

    def note(self, complaint: str) -> None:
        self.complaints.append(complaint)

    def open(self, url: str) -> Visit:
        self.page.goto(url)
        expect(self.page.locator("#model option")).to_have_count(2)
        self.page.select_option("#model", "stand-in-brief")
        self.page.fill("#question", self.question)
        return self

    def ask(self) -> None:
        self.page.click("#submit")

    def finished(self, word: str) -> None:
        expect(self.page.locator("#answer")).to_have_attribute("data-state", "done")
        self.shows("#verdict-word", word)

    def shows(self, selector: str, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator(selector)).to_have_text(text)

    def number(self, selector: str) -> float:
        text = self.page.inner_text(selector)
        return float(re.sub(r"[^\d.]", "", text))


def boxes(page: Page) -> Any:
    """Where each card is on the page, wherever the page is scrolled to."""
    return page.evaluate(
        """() => [...document.querySelectorAll(".card")].map((card) => {
            const { top, left, width, height } = card.getBoundingClientRect();
            return [top + scrollY, left, width, height].map(Math.round);
        })"""
    )
