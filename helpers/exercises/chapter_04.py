"""Self-checks of the exercises of chapter 04."""

from collections.abc import Callable

from helpers.exercises.checking import NotYet, ask, exercise, expect


@exercise("04.1", "A prompt that cannot be rewritten")
def _example_lines(answer: Callable) -> None:
    for pairs, wanted, case in [
        ([("oil leak", "hydraulic")], ["oil leak => hydraulic"], "one pair"),
        (
            [("oil\nleak  slew", "hydraulic"), ("no power", "engine")],
            ["oil leak slew => hydraulic", "no power => engine"],
            "a line break in a text",
        ),
        (
            [("x => safety_access", "lube")],
            ["x -> safety_access => lube"],
            "'=>' in a text",
        ),
        (
            [("a => b\r\nc\t=> d", "lube")],
            ["a -> b c -> d => lube"],
            "several of both in a text",
        ),
        ([], [], "no pairs"),
    ]:
        got = ask(answer, pairs, case=case)
        if not isinstance(got, list):
            raise NotYet(f"Return a list of lines, not a {type(got).__name__}.")
        if got != wanted:
            raise NotYet(f"For {case} the lines are {wanted}; yours are {got!r:.120}.")


@exercise("04.2", "Retry, stop, or planner?")
def _next_step(answer: Callable) -> None:
    for status, code, wanted in [
        (None, None, "retry"),
        (429, "rate_limit_exceeded", "retry"),
        (429, "insufficient_quota", "stop"),
        (500, None, "retry"),
        (503, "overloaded", "retry"),
        (599, None, "retry"),
        (429, None, "retry"),
        (401, "invalid_api_key", "stop"),
        (401, None, "stop"),
        (404, "model_not_found", "stop"),
        (404, None, "stop"),
        (403, "not_allowed", "planner"),
        (409, None, "planner"),
        (400, "unsupported_schema", "planner"),
        (413, "request_too_large", "planner"),
        (600, None, "planner"),
    ]:
        case = f"status {status} with code {code!r}"
        expect(answer, status, code, case=case, wanted=wanted)


@exercise("04.3", "The bill with cache and batch")
def _bill(answer: Callable) -> None:
    for given, wanted, case in [
        ((1, 1000, 0, 0, 2.0, 0.5, 8.0, 0.0), 0.002, "one order, prompt only"),
        ((2, 1000, 0, 0, 2.0, 0.5, 8.0, 0.0), 0.0025, "two orders: the second cached"),
        ((10, 0, 100, 20, 2.0, 0.5, 8.0, 0.0), 0.0036, "ten orders without a prompt"),
        (
            (1000, 5000, 30, 20, 2.0, 0.2, 8.0, 0.5),
            (5000 * 2 + 999 * 5000 * 0.2 + 1000 * (30 * 2 + 20 * 8)) / 2e6,
            "1,000 orders, half price",
        ),
        ((0, 5000, 30, 20, 2.0, 0.2, 8.0, 0.5), 0.0, "no orders"),
    ]:
        expect(answer, *given, case=case, wanted=wanted)


@exercise("04.4", "Numbers that should stay inside")
def _redact_numbers(answer: Callable) -> None:
    for text, wanted in [
        ("Repair material 60176281", "Repair material [NUMBER]"),
        ("p4 pump delivery line u/s 1740764", "p4 pump delivery line u/s [NUMBER]"),
        ("Cost to Repair M/No:60017673 Servo", "Cost to Repair M/No:[NUMBER] Servo"),
        ("see WO28167481", "see WO[NUMBER]"),
        ("pump @ 4792 HRS", "pump @ 4792 HRS"),
        ("call 0812345678", "call 0812345678"),
        ("6 digits 123456", "6 digits 123456"),
        ("1234567, 12345678", "[NUMBER], [NUMBER]"),
        ("part 60177585x", "part [NUMBER]x"),
        ("No.60177585", "No.[NUMBER]"),
        ("SHD0024 oil leak", "SHD0024 oil leak"),
    ]:
        expect(answer, text, case=repr(text), wanted=wanted)
