"""`switchgear check FILE`: every mistake in a configuration with its file, line and key; or what the file declares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import orjson

from switchgear.accounting.prices import load_catalogue
from switchgear.config.load import Loaded, load_with_warnings
from switchgear.config.report import ConfigWarning
from switchgear.config.schema import Config, Model, Provider
from switchgear.config.urls import without_userinfo
from switchgear.errors import ConfigError
from switchgear.limits import tokenizers
from switchgear.providers.registry import ProviderType, provider_types


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to write the findings."
)
def command(file: Path, form: str) -> None:
    """Check the configuration in FILE.

    Exits with 0 and a summary when it can be used, with 1 and all errors, one a line, when it cannot. Environment
    variables that the file names must be set.
    """
    try:
        types = provider_types()
    except ValueError as error:  # an installed package declares a provider wrongly
        raise click.ClickException(str(error)) from error
    try:
        loaded = load_with_warnings(file, types)
        if loaded.config.price_catalogue is not None:
            load_catalogue(loaded.config)
        tokenizers.load(loaded.config.estimates)
    except ConfigError as error:
        click.echo(_errors_json(error) if form == "json" else str(error))
        sys.exit(1)
    click.echo(_json(loaded, types) if form == "json" else _text(loaded, file, types))


def _text(loaded: Loaded, file: Path, types: dict[str, ProviderType]) -> str:
    config = loaded.config
    lines = [
        f"{file}: usable",
        "",
        f"listens on  {_listens_on(config)}",
        f"state       {without_userinfo(config.state.url)}",
    ]
    lines += _section("providers", {name: _provider(entry, types) for name, entry in config.providers.items()})
    lines += _section("models", {name: _model(entry) for name, entry in config.models.items()})
    lines += _section("keys", {key.name: f"models {', '.join(key.models) or 'none'}" for key in config.keys})
    if config.auth.jwt is not None:
        lines += _section("jwt", {"algorithms": ", ".join(config.auth.jwt.algorithms)})
    lines += ["", "warnings", *(f"  {warning}" for warning in loaded.warnings)] if loaded.warnings else []
    return "\n".join(lines)


def _section(title: str, rows: dict[str, str]) -> list[str]:
    width = max(map(len, rows), default=0)
    return ["", title, *(f"  {name:<{width}}  {text}" for name, text in rows.items())] if rows else []


def _listens_on(config: Config) -> str:
    server = config.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    scheme = "https" if server.tls else "http"
    return f"{scheme}://{host}:{server.port}, workers: {server.workers}, auth: {config.auth.mode}"


def _address(provider: Provider, types: dict[str, ProviderType]) -> str:
    return provider.base_url or types[provider.type].base_url or ""


def _provider(provider: Provider, types: dict[str, ProviderType]) -> str:
    return f"{provider.type}, {_address(provider, types)}, credentials: {len(provider.credentials)}"


def _model(model: Model) -> str:
    tiers: dict[int, list[str]] = {}
    for target in model.targets:
        tiers.setdefault(target.tier, []).append(f"{target.provider}/{target.model} x{target.weight:g}")
    return "; then ".join(", ".join(tiers[tier]) for tier in sorted(tiers))


def _json(loaded: Loaded, types: dict[str, ProviderType]) -> str:
    config = loaded.config
    summary = {
        "ok": True,
        "providers": [
            {"name": name, "type": row.type, "base_url": _address(row, types), "credentials": len(row.credentials)}
            for name, row in config.providers.items()
        ],
        "models": [
            {"name": name, "targets": [f"{target.provider}/{target.model}" for target in model.targets]}
            for name, model in config.models.items()
        ],
        "keys": [{"name": key.name, "models": key.models} for key in config.keys],
        "errors": [],
        "warnings": [_finding(warning) for warning in loaded.warnings],
    }
    return _dumped(summary)


def _errors_json(error: ConfigError) -> str:
    return _dumped({"ok": False, "errors": [_finding(one) for one in error.errors], "warnings": []})


def _finding(one: ConfigError | ConfigWarning) -> dict[str, Any]:
    return {"file": one.file, "line": one.line, "key": one.key, "message": one.message}


def _dumped(document: dict[str, Any]) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
