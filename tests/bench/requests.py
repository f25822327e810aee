"""What a hit and a miss cost, in-process and through uvicorn, beside a bare app."""

from __future__ import annotations

from tests.bench import in_process, through_uvicorn


def report() -> None:
    """Measure, and print two tables in Markdown."""
    micros = in_process.measure()
    print("| in-process | CPU µs per request |\n|---|---|")
    for name, value in micros.items():
        print(f"| {name} | {value:.1f} |")
    print(
        f"\nA miss adds {micros['miss'] - micros['bare app, new bodies']:.1f} µs to the bare app.\n"
    )
    rates = through_uvicorn.measure()
    if rates is None:
        print("wrk is not installed: the throughput was not measured.")
        return
    print(f"The bare app served {rates['bare app']:.0f} requests/s.\n")
    print("| through uvicorn | requests/s ÷ bare app | ÷ Starlette route |\n|---|---|---|")
    for name, rate in rates.items():
        ratios = (rate / rates["bare app"], rate / rates["Starlette route"])
        print(f"| {name} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
