"""What the journey writes down, once somebody subscribed to events."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from askonce.policy.decide import Decision, Forward, Refuse, Serve, ServeStale

if TYPE_CHECKING:
    from askonce.entry import Entry
    from askonce.observe.observation import Observation
    from askonce.policy.directives import Directives
    from askonce.questions import Journey


def bypassed(observation: Observation, reason: str, spoken: Directives) -> None:
    """Write down that the cache has nothing to do with a request."""
    if spoken.only_if_cached:
        observation.ends("refused", reason)
    else:
        observation.ends("bypass", reason, "bypass")


def decided(
    journey: Journey, key: str, entry: Entry | None, decision: Decision, failure: str | None
) -> None:
    """Write down what was decided on a request that may be cached.

    Args:
        journey: The request; its observation is there.
        key: The physical key of its answer.
        entry: What was found.
        decision: What was decided.
        failure: What went wrong on the way, if anything did.
    """
    observation = journey.request.observation
    assert observation is not None
    observation.asked(journey.ask.model, key, silently=journey.spoken.no_store)
    match decision:
        case Serve(age=age, ttl=ttl):
            assert entry is not None
            observation.serves("hit", entry, age, ttl)
        case ServeStale(age=age, ttl=ttl):
            assert entry is not None
            observation.serves("stale", entry, age, ttl)
        case Forward(why=why):
            observation.is_asked_on(why, failure)
        case Refuse():
            observation.ends("refused", "only-if-cached")
        case _:
            assert_never(decision)


def stands_in(observation: Observation, entry: Entry, age: float, status_code: int | None) -> None:
    """Write down that a stored answer stands in for a failure.

    Args:
        observation: The request's.
        entry: The stored answer.
        age: Seconds since it was made.
        status_code: What the app answered; None if it raised.
    """
    observation.serves("stale-if-error", entry, age, entry.ttl - age)
    observation.reason = "exception" if status_code is None else str(status_code)
