/** Everything that is written on the page, and nothing that is decided. */

import { draw } from "./chart.js";
import { count, dollars, milliseconds, percent, seconds, times } from "./format.js";

const at = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 820px)"); // as in screen.css: one column
const MOST_LISTED = 100;

let pending = ""; // words that the next frame shows

/** A question is on its way: the last verdict no longer holds. */
export function begin() {
  pending = "";
  at("answer").replaceChildren(document.createTextNode(""));
  at("answer").dataset.state = "running";
  at("answer").setAttribute("aria-busy", "true");
  at("verdict").dataset.kind = "waiting";
  write({ "verdict-word": "…", "verdict-why": "Waiting for the first word.", first: "–", total: "–" });
  write({ "cache-status": "–", age: "–" });
  busy(true);
  if (narrow.matches) at("verdict").scrollIntoView();
}

/** The response's head is here: it says who answers. */
export function head({ status, age }, verdict) {
  at("verdict").dataset.kind = verdict.hit ? "hit" : verdict.kind === "bypass" ? "bypass" : "miss";
  write({ "verdict-word": verdict.word, "verdict-why": verdict.why });
  write({ "cache-status": status ?? "not sent", age: age ?? "not sent" });
}

/** More words. They are shown once a frame: a hit brings hundreds between two. */
export function append(text) {
  if (pending === "") requestAnimationFrame(flush);
  pending += text;
}

/** Adds to the text that stands, so that a screen reader need not begin anew. */
function flush() {
  const answer = at("answer");
  const follows = answer.scrollHeight - answer.scrollTop - answer.clientHeight < 24;
  answer.firstChild?.appendData(pending);
  pending = "";
  if (follows) answer.scrollTop = answer.scrollHeight;
}

export function firstToken(elapsed) {
  write({ first: milliseconds(elapsed) });
}

export function finish(elapsed) {
  flush();
  write({ total: milliseconds(elapsed) });
  settle("done");
}

/** Nothing came of it: says why where the answer would stand. */
export function fail(message) {
  flush();
  at("verdict").dataset.kind = "failed";
  write({ "verdict-word": "–", "verdict-why": "No answer." });
  const note = document.createElement("p");
  note.className = "error";
  note.textContent = message;
  at("answer").append(note);
  settle("failed");
}

export function totals(tally, prices) {
  const [bought, saved] = [tally.tokens(true), tally.tokens(false)];
  const money = tally.money(prices);
  write({ bought: count(bought), saved: count(saved), money: dollars(money), waiting: seconds(tally.waiting) });
  fill("bought-bar", bought / (bought + saved));
  fill("saved-bar", saved / (bought + saved));
  at("money-hint").textContent =
    money === null ? "Enter your prices beside the question to see it." : "At the prices that you entered.";
}

export function rate(tally) {
  const asks = tally.asked.length;
  const share = asks ? tally.hits / asks : null;
  write({ rate: percent(share), "rate-of": asks ? `${tally.hits} of ${asks} asks` : "of no asks" });
  at("chart").setAttribute("aria-label", `Hit rate: ${percent(share)} after ${asks} asks`);
  draw(at("chart"), tally.rates);
}

/** The same question from the model and from the cache, side by side. */
export function race({ model, cache }) {
  const longest = Math.max(model ?? 0, cache ?? 0);
  fill("model-bar", model / longest);
  fill("cache-bar", cache / longest);
  write({ "model-time": milliseconds(model), "cache-time": milliseconds(cache) });
  at("faster").textContent = compared(model, cache);
}

function compared(model, cache) {
  if (model === null && cache === null) return "Ask twice to compare.";
  if (model === null) return "Asked before this page was open.";
  if (cache === null) return "Now ask the same thing again.";
  return model > cache ? `${times(model / cache)} faster from the cache.` : "No faster this time.";
}

/** One more line in the list of asks; `again` is called to ask it once more. */
export function list({ question, verdict, total, usage }, again) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.title = "Ask again";
  button.append(
    span(`badge ${verdict.hit ? "hit" : "miss"}`, verdict.word),
    span("asked", question),
    span("number", milliseconds(total)),
    span("number usage", `${count(usage?.total_tokens ?? null)} tokens`),
  );
  button.addEventListener("click", again);
  item.append(button);
  at("history").prepend(item);
  while (at("history").children.length > MOST_LISTED) at("history").lastElementChild.remove();
  at("history-empty").hidden = true;
}

/** Offers the models by name, or a free field where they could not be listed. */
export function offer(names, notice = "") {
  at("model").replaceChildren(...names.map((name) => new Option(name)));
  at("model").hidden = names.length === 0;
  at("model-name").hidden = names.length > 0;
  at("model-name").required = names.length === 0;
  write({ notice });
}

export function label(known) {
  at("submit").textContent = known ? "Ask again" : "Ask";
}

function settle(state) {
  at("answer").dataset.state = state;
  at("answer").setAttribute("aria-busy", "false");
  busy(false);
}

/** Gives a bar its share of the lane; NaN (nothing of nothing) is none. */
function fill(id, share) {
  at(id).style.width = `${(share || 0) * 100}%`;
  at(id).hidden = !share;
}

function busy(running) {
  at("submit").setAttribute("aria-disabled", String(running));
  at("stop").disabled = !running;
}

function span(className, text) {
  const made = document.createElement("span");
  made.className = className;
  made.textContent = text;
  return made;
}

function write(texts) {
  for (const [id, text] of Object.entries(texts)) at(id).textContent = text;
}
