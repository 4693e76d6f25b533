"""Roles, rotation, TLS and the chained access log: what each bad input says."""

import json
import ssl
import time
from datetime import UTC, datetime, timedelta

import httpx2
import openai
import pytest
from certificates import new_certificate
from pydantic import ValidationError

from helpers.errors import CourseError, InputError
from helpers.gpt import NAME as GPT
from helpers.hosted import local_client
from helpers.promptable import NAME
from helpers.service import __main__ as command
from helpers.service import key_files, start, tls
from helpers.service.access_log import PREFIX, AccessLog, check
from helpers.service.keys import FULL, Keys, Role
from helpers.service.process import ServiceProcess


def hours(number):
    return datetime.now(UTC) + timedelta(hours=number)


def get(service, path, key="", **options):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    url = service.base_url.removesuffix("/v1") + path
    return httpx2.get(url, headers=headers, trust_env=False, timeout=60, **options)


def error(answer):
    return answer.status_code, answer.json()["error"]["code"]


# --- roles


@pytest.fixture(scope="module")
def keys():
    return Keys(6000, 1000, private_metrics=True)


@pytest.fixture(scope="module")
def service(keys):
    with start(keys=keys) as running:
        running.models.set_alias("writer", GPT)
        yield running


def test_a_role_sees_and_calls_its_models_only(service, keys):
    key = keys.new("line-4", Role(models=(GPT, "not there yet")))
    listed = get(service, "/v1/models", key).json()["data"]
    assert [model["id"] for model in listed] == [GPT]
    client = local_client(service.base_url, key, max_retries=0)
    assert client.responses.create(model=GPT, input="oil leak").output_text
    for hidden in NAME, "writer", "nothing at all":
        with pytest.raises(openai.NotFoundError) as found:
            client.responses.create(model=hidden, input="oil leak")
        said = found.value.body["message"].removeprefix(f"The model {hidden!r} ")
        assert said.startswith(f"does not exist here. There is: {GPT}. Set")
        assert error(get(service, f"/v1/models/{hidden}", key)) == (
            404,
            "model_not_found",
        )
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model=hidden, input="oil leak")
    nothing = keys.new("nobody", Role(models=()))
    assert get(service, "/v1/models", nothing).json()["data"] == []
    message = get(service, f"/v1/models/{GPT}", nothing).json()["error"]["message"]
    assert "There is: none." in message and NAME not in message


def test_an_alias_is_a_name_of_its_own(service, keys):
    key = keys.new("line-5", Role(models=("writer",)))
    client = local_client(service.base_url, key, max_retries=0)
    assert client.responses.create(model="writer", input="oil leak").output_text
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=GPT, input="oil leak")


def test_only_a_role_for_it_reads_private_metrics(service, keys):
    plain, monitor = keys.new("line-1"), keys.new("monitor", Role(metrics=True))
    over = keys.new("old", Role(metrics=True, until=hours(-1)))
    assert error(get(service, "/metrics")) == (401, "invalid_api_key")
    assert error(get(service, "/metrics", "made-up")) == (401, "invalid_api_key")
    assert error(get(service, "/metrics", plain)) == (403, "not_allowed")
    assert error(get(service, "/metrics", over)) == (401, "api_key_expired")
    page = get(service, "/metrics", monitor)
    assert page.status_code == 200 and "course_requests_total" in page.text
    assert get(service, "/health").json() == {"status": "ok"}  # names no model


def test_metrics_are_open_unless_they_are_private():
    with start() as running:
        assert get(running, "/metrics").status_code == 200


def test_a_key_ends_and_says_so(service, keys):
    key = keys.new("visitor", Role(until=hours(1)))
    assert get(service, "/v1/models", key).status_code == 200
    (held,) = keys.of("visitor")
    held.role = held.role.model_copy(update={"until": datetime.now(UTC)})
    answer = get(service, "/v1/models", key)
    assert error(answer) == (401, "api_key_expired")
    assert service.access_log()[-1]["owner"] == "visitor"
    message = answer.json()["error"]["message"]
    assert (
        message.startswith("This key of visitor ended on 20") and "new one" in message
    )


def test_a_role_has_its_own_limit(service, keys):
    key = keys.new("slow", Role(burst=2, per_minute=0.5))
    said = [get(service, "/v1/models", key) for _ in range(3)]
    assert [answer.status_code for answer in said] == [200, 200, 429]
    assert "more than 0.5 requests a minute" in said[2].json()["error"]["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"models": "crew"},
        {"models": [1]},
        {"per_minute": 0},
        {"burst": 0},
        {"until": "2027-01-01T00:00:00"},  # of which time zone?
        {"until": "soon"},
        {"admin": True},
    ],
)
def test_wrong_roles(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Role(**wrong)


# --- rotation


def test_two_keys_are_valid_and_share_one_limit(service, keys):
    first = keys.new("line-7", Role(models=(GPT,), burst=3, per_minute=0.01))
    second = keys.rotate("line-7", 3600)
    said = [get(service, "/v1/models", key) for key in (first, second, first, second)]
    assert [answer.status_code for answer in said] == [200, 200, 200, 429]
    assert said[1].json()["data"][0]["id"] == GPT
    third = keys.rotate("line-7", 0)
    statuses = [error(get(service, "/v1/models", key)) for key in (first, second)]
    assert statuses == [(401, "invalid_api_key"), (401, "api_key_expired")]
    assert get(service, "/v1/models", third).status_code == 429  # the same bucket
    assert len(keys.of("line-7")) == 2


def test_rotation_does_not_prolong_a_role():
    keys = Keys(60, 5)
    end = hours(1)
    keys.new("visitor", Role(until=end))
    keys.rotate("visitor", 24 * 3600)
    assert [key.role.until for key in keys.of("visitor")] == [end, end]


def test_rotation_of_nothing():
    keys = Keys(60, 5)
    keys.new("gone", Role(until=hours(-1)))
    for owner in "gone", "nobody":
        with pytest.raises(InputError, match=f"{owner}.*has no valid key"):
            keys.rotate(owner, 60)
    keys.new("line-1")
    for wrong in -1, float("nan"):
        with pytest.raises(InputError, match="overlap="):
            keys.rotate("line-1", wrong)


# --- roles in a file


def test_roles_are_kept_in_a_file(tmp_path):
    path, keys = tmp_path / key_files.ROLES, Keys(60, 5)
    key = keys.new("line-4", Role(models=("crew",), until=hours(1), per_minute=2.5))
    second = keys.rotate("line-4", 60)
    key_files.save_roles(path, keys)
    text = path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert key not in text and second not in text
    loaded, new = key_files.load_keys(tmp_path / key_files.NAME, "line-4", 60, 5)
    assert new == "" and loaded.find(f"Bearer {key}").role.models == ("crew",)
    assert [one.role for one in loaded.of("line-4")] == [
        one.role for one in keys.of("line-4")
    ]
    other, new = key_files.load_keys(tmp_path / key_files.NAME, "line-1", 60, 5)
    assert new and other.of("line-1")[0].role is FULL


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"models"', '"model"'),
        lambda text: text.replace('"digest": "', '"digest": "x'),
        lambda text: text.replace('"line-4"', '""'),
        lambda text: '{"line-4": "all"}',
    ],
)
def test_a_damaged_file_of_roles_lets_nobody_in(tmp_path, damage):
    path, keys = tmp_path / key_files.ROLES, Keys(60, 5)
    keys.new("line-4", Role(models=("crew",)))
    key_files.save_roles(path, keys)
    path.write_text(damage(path.read_text()))
    with pytest.raises(CourseError, match=r"service_roles.json cannot be read .*Mend"):
        key_files.load_keys(tmp_path / key_files.NAME, "line-1", 60, 5)


# --- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return {
        name: new_certificate(name, folder)
        for name in ("127.0.0.1", "line-4", "line-9", "router.plant.example")
    }


def reason(call):
    with pytest.raises(openai.APIConnectionError) as found:
        call()
    return str(found.value.__cause__)


def test_https_for_those_who_trust_it(certificates):
    own = certificates["127.0.0.1"]
    with start(tls=own) as running:
        assert running.base_url.startswith("https://")
        trusting = tls.client_side(own.certificate)
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does
        names = [model.id for model in running.client(verify=trusting).models.list()]
        assert GPT in names
        stranger = local_client(running.base_url, running.key, max_retries=0)
        assert "self-signed certificate" in reason(stranger.models.list)
        other = tls.client_side(certificates["line-4"].certificate)
        wrong = local_client(running.base_url, running.key, other, max_retries=0)
        assert "certificate verify failed" in reason(wrong.models.list)
        plain = running.base_url.replace("https", "http")
        clear = local_client(plain, running.key, max_retries=0)
        assert "disconnected" in reason(clear.models.list)
        assert [entry["status"] for entry in running.access_log()] == [200]


def test_a_certificate_of_another_host(certificates):
    own = certificates["router.plant.example"]
    with start(tls=own) as running:
        client = running.client(verify=tls.client_side(own.certificate), max_retries=0)
        assert "IP address mismatch" in reason(client.models.list)


@pytest.mark.parametrize(
    ("starts", "said"), [(-40, "has expired"), (2, "not yet valid")]
)
def test_certificates_out_of_time(tmp_path, monkeypatch, starts, said):
    own = new_certificate("127.0.0.1", tmp_path, starts)
    if starts < 0:
        with pytest.raises(CourseError, match=r"expired on 20.*Renew it"):
            start(tls=own)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(own.certificate, own.key)
        monkeypatch.setattr(tls, "server_side", lambda _: context)
    with start(tls=own) as running:
        client = running.client(verify=tls.client_side(own.certificate), max_retries=0)
        assert said in reason(client.models.list)


def test_mutual_tls(certificates):
    own, line = certificates["127.0.0.1"], certificates["line-4"]
    with start(tls=own._replace(clients=line.certificate)) as running:

        def listed(client_tls):
            trusting = tls.client_side(own.certificate, client_tls)
            return running.client(verify=trusting, max_retries=0).models.list()

        assert listed(line).data
        for wrong in None, certificates["line-9"], own:
            assert reason(lambda who=wrong: listed(who))
        assert [entry["status"] for entry in running.access_log()] == [200]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"certificate": "none.pem"}, "No such file"),
        ({"key": "none.key"}, "No such file"),
        ({"key": "line-4.key"}, "KEY_VALUES_MISMATCH"),
        ({"certificate": "cut.pem"}, r"(?i)pem|no start|bad"),
        ({"key": "cut.key"}, r"(?i)pem|no start|bad|asn1|decod"),
        ({"clients": "empty.pem"}, r"(?i)no certificate|crl|pem"),
        ({"clients": "none.pem"}, "No such file"),
    ],
)
def test_bad_files_of_tls(certificates, wrong, said):
    good = certificates["127.0.0.1"]
    folder = good.key.parent
    for path, cut in (good.certificate, "cut.pem"), (good.key, "cut.key"):
        (folder / cut).write_text(path.read_text()[:120])
    (folder / "empty.pem").write_text("")
    bad = good._replace(**{name: folder / value for name, value in wrong.items()})
    with pytest.raises(
        CourseError, match=f"TLS cannot use .*{next(iter(wrong.values()))}"
    ):
        start(tls=bad)
    with pytest.raises(CourseError, match=said):
        start(tls=bad)


def test_tls_and_roles_from_the_command_line(tmp_path, certificates, capsys):
    own, line = certificates["127.0.0.1"], certificates["line-4"]
    keys = Keys(60, 5)
    key = keys.new("line-4", Role(models=(GPT,)))
    key_files.save_roles(tmp_path / key_files.ROLES, keys)
    options = ["--tls", str(own.certificate), str(own.key), "--private-metrics"]
    options += ["--clients", str(line.certificate)]
    with ServiceProcess(*options, folder=tmp_path) as running:
        trusting = tls.client_side(own.certificate, line)
        assert get(running, "/metrics", verify=trusting).status_code == 401
        assert len(running.client(verify=trusting).models.list().data) > 1
        client = local_client(running.base_url, key, trusting)
        assert [model.id for model in client.models.list()] == [GPT]
    assert check(tmp_path) == []
    where = ["--folder", str(tmp_path)]
    assert command.main([*where, "--clients", str(line.certificate)]) == 1
    assert "--clients needs --tls" in capsys.readouterr().err
    assert command.main([*where, "--tls", "none.pem", "none.key"]) == 1
    assert "TLS cannot use none.pem, none.key: " in capsys.readouterr().err


# --- the chain of the access log


def entry(day, number):
    return {"time": f"{day}T01:02:03Z", "request_id": f"req_{number}", "status": 200}


@pytest.fixture
def log(tmp_path):
    """Three days with two lines each; the folder, and the end noted elsewhere."""
    log = AccessLog(tmp_path)
    for day in "2999-01-01", "2999-01-02", "2999-01-03":
        for number in range(2):
            log.note(entry(day, number))
    log.close()
    return tmp_path, log.end


def day(folder, number):
    path = folder / f"{PREFIX}2999-01-0{number}.jsonl"
    return path, path.read_text().splitlines(keepends=True)


def test_a_whole_chain(log):
    assert check(*log) == [] and check(log[0]) == []


def test_a_restart_goes_on(log):
    folder, _ = log
    (folder / f"{PREFIX}2999-01-04.jsonl").touch()  # a day without a request
    again = AccessLog(folder)
    again.note(entry("2999-01-05", 0))
    again.close()
    assert check(folder, again.end) == []


def test_a_line_that_a_crash_cut_is_named_and_the_rest_goes_on(log):
    folder, _ = log
    path, lines = day(folder, 3)
    path.write_text("".join(lines)[:-40])
    again = AccessLog(folder)
    again.note(entry("2999-01-03", 7))
    again.close()
    assert check(folder, again.end) == [
        f"{path.name}, line 2: cut, or not a line of this log"
    ]


@pytest.mark.parametrize(
    ("forge", "problem"),
    [
        (lambda a, b: [a.replace("200", "401"), b], "1-02.jsonl, line 2: does not"),
        (lambda a, b: [b], "1-02.jsonl, line 1: does not continue"),
        (lambda a, b: [a], "1-03.jsonl, line 1: does not continue"),
        (lambda a, b: [b, a], "1-02.jsonl, line 1: does not continue"),
        (lambda a, b: [a, a, b], "1-02.jsonl, line 2: does not continue"),
        (lambda a, b: [a, "{}\n", b], "1-02.jsonl, line 2: cut, or not"),
        (lambda a, b: [a, "[1]\n", b], "1-02.jsonl, line 2: cut, or not"),
        (lambda a, b: [a, "\udcff\n", b], "1-02.jsonl, line 2: cut, or not"),
    ],
)
def test_forgeries_in_the_middle(log, forge, problem):
    folder, _ = log
    path, lines = day(folder, 2)
    path.write_text("".join(forge(*lines)), "utf-8", "surrogateescape")
    assert any(problem in said for said in check(folder))


def test_a_day_that_was_taken_out(log):
    folder, end = log
    day(folder, 2)[0].unlink()
    assert "1-03.jsonl, line 1" in check(folder, end)[0]


def test_the_end_is_seen_only_with_its_hash(log):
    folder, end = log
    path, lines = day(folder, 3)
    path.write_text(lines[0])
    assert check(folder) == []
    assert check(folder, end) == [
        "the last line is not the one that was noted elsewhere"
    ]
    path.unlink()
    assert check(folder) == [] and check(folder, end)


def test_a_file_of_a_day_that_cannot_be_opened_stops_no_answer(tmp_path, capsys):
    log = AccessLog(tmp_path)
    log.note({"time": "2999-01-01T00:00:00Z"})
    blocked = tmp_path / f"{PREFIX}2999-01-02.jsonl"
    blocked.mkdir()
    log.note({"time": "2999-01-02T00:00:00Z"})  # lost, as on a full disk
    log.note({"time": "2999-01-02T00:00:01Z"})
    blocked.rmdir()
    log.note({"time": "2999-01-02T00:00:02Z"})
    log.close()
    assert len(log.entries) == 4 and len(blocked.read_text().splitlines()) == 1
    assert "The access log is not written" in capsys.readouterr().err


def test_a_file_of_keys_that_cannot_be_replaced_leaves_nothing_behind(tmp_path):
    (tmp_path / key_files.NAME).mkdir()
    with pytest.raises(OSError):
        key_files._write(tmp_path / key_files.NAME, "{}")
    assert [path.name for path in tmp_path.iterdir()] == [key_files.NAME]


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "soon"])
def test_a_pause_before_the_end_is_a_number(seconds, capsys):
    with pytest.raises(SystemExit):
        command.main(["--drain", seconds])
    assert "is no number of seconds" in capsys.readouterr().err


def test_old_files_may_go(tmp_path):
    log = AccessLog(tmp_path, days=2)
    for number in range(1, 5):
        log.note(entry(f"2999-01-0{number}", 0))
    log.close()
    assert len(list(tmp_path.iterdir())) == 2 and check(tmp_path, log.end) == []


def test_the_chain_of_a_service_is_whole(tmp_path):
    with start(log_folder=tmp_path) as running:
        for _ in range(20):
            get(running, "/v1/models", running.key)
        end = running.access_log()[-1]
        last = running._log.end
    assert check(tmp_path, last) == [] and len(end["previous"]) == 64
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_text().splitlines()[-1]) == end
    assert time.gmtime().tm_year >= 2026
