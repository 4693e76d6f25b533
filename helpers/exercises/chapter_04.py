"""Self-checks of the exercises of chapter 04."""

from collections.abc import Callable

from helpers.exercises.checking import NotYet, ask, exercise, table


@exercise("04.1")  # A prompt that cannot be rewritten
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


@exercise("04.2")  # Retry, stop, or planner?
def _next_step(answer: Callable) -> None:
    rows = [
        (None, None, "retry"),
        (429, "rate_limit_exceeded", "retry"),
        (429, "insufficient_quota", "stop"),
        (429, None, "retry"),
        (500, None, "retry"),
        (503, "overloaded", "retry"),
        (599, None, "retry"),
        (400, "content_filter", "planner"),
        (400, "context_length_exceeded", "planner"),
        (400, "unsupported_schema", "stop"),
        (400, None, "stop"),
        (401, "invalid_api_key", "stop"),
        (403, "not_allowed", "stop"),
        (404, "model_not_found", "stop"),
        (404, None, "stop"),
        (413, "request_too_large", "stop"),
        (600, None, "stop"),
    ]
    try:
        table(answer, "status {} with code {!r}", rows)
    except NotYet as problem:
        if isinstance(problem.__cause__, TypeError):  # None compared with a number
            hint = "None means that no answer came; look at it first."
            raise NotYet(f"{problem}. {hint}") from problem
        raise


@exercise("04.3")  # The bill with cache and batch
def _bill(answer: Callable) -> None:
    whole = (5000 * 2 + 999 * 5000 * 0.2 + 1000 * (30 * 2 + 20 * 8)) / 2e6
    rows = [  # one order; the second is cached; just long enough; too short
        (1, 2000, 0, 0, 2.0, 0.5, 8.0, 0.0, 0.004),
        (2, 2000, 0, 0, 2.0, 0.5, 8.0, 0.0, 0.005),
        (2, 1024, 0, 0, 2.0, 0.5, 8.0, 0.0, 0.00256),
        (2, 1023, 0, 0, 2.0, 0.5, 8.0, 0.0, 0.004092),
        (10, 0, 100, 20, 2.0, 0.5, 8.0, 0.0, 0.0036),  # no fixed part
        (1000, 5000, 30, 20, 2.0, 0.2, 8.0, 0.5, whole),  # at half price
        (0, 5000, 30, 20, 2.0, 0.2, 8.0, 0.5, 0.0),
    ]
    names = "number={}, fixed={}, own={}, written={}, price_in={}, price_cached={}"
    quarter = (1, 2000, 0, 0, 2.0, 0.5, 8.0, 0.25)
    got = ask(answer, *quarter, case="a discount of 0.25")
    if isinstance(got, int | float) and abs(got - 0.001) < 1e-6:
        raise NotYet("discount is what a batch file saves: of 0.25, pay 0.75.")
    table(answer, f"bill({names}, price_out={{}}, discount={{}})", rows)


@exercise("04.4")  # Numbers that should stay inside
def _redact_numbers(answer: Callable) -> None:
    rows = [
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
    ]
    table(answer, "{!r}", rows)
