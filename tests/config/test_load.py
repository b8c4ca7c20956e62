from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from switchgear.config.key_hash import KeyHash
from switchgear.config.load import load, load_with_warnings, loads
from switchgear.config.schema import Auth, Credential
from switchgear.config.schema_prices import Price, PriceTier
from switchgear.config.values import Duration, Secret
from switchgear.errors import ConfigError
from switchgear.providers.registry import provider_types

HERE = Path(__file__).parent
ENVIRONMENT = {
    "OPENAI_API_KEY": "sk-openai",
    "ANTHROPIC_API_KEY": "sk-ant",
    "SWITCHGEAR_CI_KEY": "sk-sg-0123456789",
    "CI_KEY": "sk-sg-0123456789",
}
HIDDEN = {"S": "hunter2"}
KEYS = '\nkeys: [{name: me, value: "0123456789abcdef"}]\n'
MINIMAL = "providers: {openai: {credentials: [abc]}}" + KEYS


def errors_of(text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loads(text, environment=environment)
    return [str(error) for error in caught.value.errors]


def test_the_documented_file_loads() -> None:
    loaded = load_with_warnings(HERE / "documented.yaml", provider_types(), environment=ENVIRONMENT)
    config = loaded.config
    assert config.state.url == "redis://127.0.0.1:6379/0"
    assert [credential.value.reveal() for credential in config.providers["openai"].credentials] == ["sk-openai"]
    assert config.providers["claude"].credentials[0].name == "main"
    assert [(target.provider, target.tier, target.weight) for target in config.models["smart"].targets] == [
        ("openai", 0, 3.0),
        ("claude", 0, 1.0),
        ("local", 1, 1.0),
    ]
    assert config.models["smart"].timeouts.connect == Duration(2.0)
    assert config.models["smart"].retries.budget == Duration(20.0)
    assert config.keys[0].value == KeyHash.of("sk-sg-0123456789")
    assert [warning.key for warning in loaded.warnings] == ["models.smart.routing.objective"]


def test_the_file_with_limits_prices_and_ledger_loads() -> None:
    loaded = load_with_warnings(HERE / "limits.yaml", provider_types(), environment=ENVIRONMENT)
    assert loaded.config.keys[0].project == "search"
    budget = loaded.config.organizations[0].budget
    assert budget is not None
    assert budget.thresholds == (0.5, 0.8, 1.0)
    price = loaded.config.prices["openai/gpt-4.1"]
    assert isinstance(price, Price)
    assert price.tiers == [PriceTier(above=200000, input=4.0, output=12.0)]
    assert loaded.config.unknown_price == "refuse"
    assert loaded.warnings == ()


def test_toml_says_the_same(tmp_path: Path) -> None:
    toml = tmp_path / "switchgear.toml"
    toml.write_text("""
[providers.openai]
credentials = ["${KEY}", {value = "def", name = "second"}]
[[models.smart.targets]]
provider = "openai"
model = "gpt-4.1"
[models.smart.timeouts]
connect = "2s"
[[keys]]
name = "me"
value = "0123456789abcdef"
""")
    yaml = """
providers: {openai: {credentials: ["${KEY}", {value: def, name: second}]}}
models: {smart: {targets: [{provider: openai, model: gpt-4.1}], timeouts: {connect: 2s}}}
"""
    same = tmp_path / "switchgear.yaml"  # relative files are those beside the configuration
    same.write_text(yaml + KEYS)
    assert load(toml, environment={"KEY": "abc"}) == load(same, environment={"KEY": "abc"})


def test_relative_files_lie_beside_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL + "ledger: {path: rows}\ndatabase: {url: 'sqlite:///a/b.db'}\n")
    config = load(path)
    assert (config.ledger.path, config.database.url) == (f"{tmp_path}/rows", f"sqlite:///{tmp_path}/a/b.db")
    path.write_text(MINIMAL + "ledger: {path: /var/rows}\ndatabase: {url: 'sqlite:////var/b.db'}\n")
    config = load(path)
    assert (config.ledger.path, config.database.url) == ("/var/rows", "sqlite:////var/b.db")


def test_a_reload_finds_the_simulator_that_serve_started(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL.replace("credentials: [abc]", 'base_url: "simulator:"'))
    config = load(path, environment={"SWITCHGEAR_SIMULATOR_URL": "http://127.0.0.1:1/v1"})
    assert config.providers["openai"].base_url == "http://127.0.0.1:1/v1"


def test_a_plain_string_stands_for_a_credential_and_a_mode() -> None:
    config = loads(MINIMAL + "auth: keys")
    assert config.providers["openai"].credentials == [Credential(value=Secret("abc"))]
    assert config.auth == Auth(mode="keys")


def test_numbers_and_booleans_come_from_the_environment_where_the_type_wants_them() -> None:
    text = (
        MINIMAL
        + """
server: {port: "${PORT}", body_limit: "${LIMIT}", body_timeout: "${TIMEOUT:-90}"}
models: {m: {targets: [{provider: openai, model: "${MODEL}", weight: "${WEIGHT}"}]}}
auth: {confirm_public: "${PUBLIC}"}
"""
    )
    values = {"PORT": "9000", "LIMIT": "1024", "MODEL": "4", "WEIGHT": "0.5", "PUBLIC": "yes"}
    config = loads(text, environment=values)
    assert (config.server.port, config.server.body_limit, config.server.body_timeout) == (9000, 1024, 90.0)
    assert (config.models["m"].targets[0].model, config.models["m"].targets[0].weight) == ("4", 0.5)
    assert config.auth.confirm_public is True


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"80${X}"', "expected a whole number from 0 to 65535, got a string"),
        ('"${BAD}"', "expected a whole number from 0 to 65535, got a string"),
        ('"8080"', "expected a whole number from 0 to 65535, got a string"),
        ("8080.0", "expected a whole number from 0 to 65535, got 8080.0"),
        ("true", "expected a whole number from 0 to 65535, got true"),
        ("", "expected a whole number from 0 to 65535, got nothing"),
    ],
)
def test_a_number_is_not_guessed_from_other_text(value: str, expected: str) -> None:
    assert errors_of(f"server:\n  port: {value}", X="80", BAD="http") == [f"configuration:2: server.port: {expected}"]


def test_scalars_follow_yaml_1_2_and_yes_is_a_boolean_only_where_one_belongs() -> None:
    text = MINIMAL.replace(
        "credentials: [abc]", "credentials: [abc], api_version: 2024-10-21, models: [no, 12:30, 1_000]"
    )
    config = loads(text.replace("api_version", "tls: {verify: no}, api_version"))
    assert config.providers["openai"].api_version == "2024-10-21"
    assert config.providers["openai"].models == ["no", "12:30", "1_000"]
    assert config.providers["openai"].tls.verify is False


def test_anchors_and_merge_keys() -> None:
    config = loads(
        MINIMAL
        + """
models:
  one: {targets: &targets [{provider: openai, model: a}], timeouts: &times {connect: 1s, total: 9s}}
  two: {targets: *targets, timeouts: {<<: *times, total: 8s}}
"""
    )
    assert config.models["two"].targets == config.models["one"].targets
    assert (config.models["two"].timeouts.connect, config.models["two"].timeouts.total) == (1.0, 8.0)


def test_a_section_left_empty_is_not_written() -> None:
    assert loads(MINIMAL + "models:\nserver:\nlogging:\n") == loads(MINIMAL)


def test_the_longest_answer_of_a_model() -> None:
    config = """
auth: none
providers: {p: {credentials: [sk-0]}}
models: {own: {targets: [{provider: p, model: m}], max_output_tokens: 16384}, not: {targets: [{provider: p, model: m}]}}
"""
    assert {m.max_output_tokens for m in loads(config).models.values()} == {16_384}
    config += "defaults: {max_output_tokens: 65536}\n"
    assert {name: m.max_output_tokens for name, m in loads(config).models.items()} == {"own": 16_384, "not": 65_536}
    with pytest.raises(ConfigError, match=r"defaults\.max_output_tokens"):
        loads(config.replace("65536", "15"))


def test_what_a_model_does_not_write_comes_from_defaults_field_by_field() -> None:
    config = loads(
        MINIMAL
        + """
defaults: {timeouts: {connect: 1s, idle: 7s}, retries: {attempts: 5}}
models:
  plain: {targets: [{provider: openai, model: a}]}
  own: {targets: [{provider: openai, model: a}], timeouts: {connect: 5s}}
"""
    )
    assert (config.models["plain"].timeouts.connect, config.models["plain"].timeouts.idle) == (1.0, 7.0)
    assert (config.models["own"].timeouts.connect, config.models["own"].timeouts.idle) == (5.0, 7.0)
    assert config.models["own"].retries.attempts == 5
    assert config.models["own"].timeouts.total == 600.0


def test_all_errors_of_a_stage_are_told_in_the_order_of_the_file() -> None:
    assert errors_of("""
models: {m: {targets: [{provider: 1, model: a}, {model: b}], retries: {atempts: 1}}}
providers: {openai: {credentials: ["${UNSET}"]}}
server: {port: x}
""") == [
        "configuration:2: models.m.targets[0].provider: expected a string of 1 to 256 characters, got 1: put it in "
        "quotes",
        "configuration:2: models.m.targets[1]: expected the key 'provider': a string of 1 to 256 characters",
        "configuration:2: models.m.retries.atempts: unknown key; did you mean 'attempts'?",
        "configuration:3: providers.openai.credentials[0]: environment variable UNSET is not set: set it, or give a "
        "default as ${UNSET:-default}",
        "configuration:4: server.port: expected a whole number from 0 to 65535, got a string",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "logging: {level: '${S}'}",
        "server: {body_timeout: '${S}'}",
        "server: {body_limit: '${S}'}",
        "server: {port: '${S}'}",
        "state: {url: '${S}'}",
        "database: {url: '${S}'}",
        "auth: '${S}'",
        "keys: '${S}'",
        "keys: [{name: a, value: ['${S}']}]",
        "providers: {a: {base_url: 'https://${S}@h/v1', type: '${S}', proxy: '${S}'}}",
        "providers: {a: {credentials: ['${S} '], headers: {A: \"${S}\\n\"}, tls: {ca: '${S}'}}}",
        "default_provider: '${S}'",
        "models: {m: {targets: [{provider: '${S}', model: a}]}}",
        "auth: {jwt: {algorithms: ['${S}']}}",
        "auth: {jwt: {algorithms: [HS256], secret: '${S}'}}",
        "auth: {jwt: {algorithms: [RS256], public_keys: {a: '${S}'}, jwks_url: 'http://${S}'}}",
    ],
)
def test_what_came_from_the_environment_is_never_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(text, known_types=provider_types(), environment=HIDDEN)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_no_secret_is_in_the_repr() -> None:
    config = loads("""
state: {url: "redis://:hunter2@db/0"}
database: {url: "postgresql://u:hunter2@db/x?password=hunter2"}
providers:
  a: {credentials: [hunter2], headers: {X-Key: hunter2}, transport: httpx, proxy: "http://u:hunter2@p"}
keys: [{name: me, value: "hunter2hunter2hunter2"}]
auth: {jwt: {algorithms: [HS256], secret: "hunter2hunter2hunter2hunter2hunter2"}}
""")
    assert "hunter2" not in f"{config!r} {config}"


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError, match=f"cannot be read: {reason}"):
            load(path)


def test_deep_nesting_is_refused() -> None:
    for text in ("organizations: " + "[" * 70 + "]" * 70, "organizations: " + "[" * 100_000):
        with pytest.raises(ConfigError):
            loads(text)
    with pytest.raises(ConfigError):
        loads("organizations = " + "[" * 5000 + "]" * 5000, "toml")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    plain = tmp_path / "plain.yaml"
    plain.write_text(MINIMAL)
    assert load(path) == load(plain)
