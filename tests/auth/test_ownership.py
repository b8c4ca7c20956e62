"""Which organization, project and user a key's and a token's requests count to."""

from __future__ import annotations

from typing import Any

import pytest

from switchgear.auth.authenticator import Authenticator
from switchgear.config.load import loads
from switchgear.config.schema import Config
from switchgear.errors import AuthenticationFailed

from .issuer import AUDIENCE, ISSUER, SECRET, token

DECLARED = """
providers: {openai: {credentials: [abc]}}
organizations: [{id: acme}, {id: other}]
projects: [{id: search, organization: acme}, {id: free}]
users: [{id: ada, organization: other}, {id: bob}]
"""
KEYS = """
keys:
  - {name: all, value: "0123456789abcdef-1", project: search, user: ada}
  - {name: project, value: "0123456789abcdef-2", project: search}
  - {name: user, value: "0123456789abcdef-3", user: ada}
  - {name: loose, value: "0123456789abcdef-4", project: free, user: ada}
  - {name: nobody, value: "0123456789abcdef-5"}
"""


def members_of(authenticator: Authenticator, bearer: bytes) -> tuple[str, str, str]:
    principal = authenticator.authenticate(bearer)
    assert principal is not None
    return principal.organization, principal.project, principal.user


def with_jwt(claims: str) -> Config:
    fixed = f'algorithms: [HS256], secret: "{SECRET}", issuer: "{ISSUER}", audience: "{AUDIENCE}"'
    return loads(f"{DECLARED}auth: {{jwt: {{{fixed}{claims}}}}}", environment={})


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, ("acme", "search", "ada")),  # the project's organization before the user's
        (2, ("acme", "search", "")),
        (3, ("other", "", "ada")),
        (4, ("other", "free", "ada")),
        (5, ("", "", "")),
    ],
)
def test_a_key(number: int, expected: tuple[str, str, str]) -> None:
    authenticator = Authenticator(loads(DECLARED + KEYS, environment={}))
    assert members_of(authenticator, b"0123456789abcdef-%d" % number) == expected


@pytest.mark.parametrize(
    ("settings", "claims", "expected"),
    [
        ("", {}, ("other", "", "ada")),  # the subject is a declared user
        ("", {"sub": "eve"}, ("", "", "")),
        ("", {"project": "search"}, ("other", "", "ada")),  # not a claim that the configuration names
        (", project_claim: project", {"project": "search"}, ("acme", "search", "ada")),
        (", project_claim: project", {}, ("other", "", "ada")),
        (", user_claim: email", {"email": "bob"}, ("", "", "bob")),
        (", user_claim: email", {}, ("", "", "")),
        (", organization_claim: org", {"org": "acme"}, ("acme", "", "ada")),
        (", organization_claim: org, project_claim: p", {"org": "acme", "p": "search"}, ("acme", "search", "ada")),
        (", organization_claim: org, project_claim: p", {"org": "other", "p": "free"}, ("other", "free", "ada")),
    ],
)
def test_a_token(settings: str, claims: dict[str, Any], expected: tuple[str, str, str]) -> None:
    authenticator = Authenticator(with_jwt(settings))
    bearer = token("HS256", **claims)
    assert members_of(authenticator, bearer) == expected
    assert members_of(authenticator, bearer) == expected  # remembered


@pytest.mark.parametrize(
    ("settings", "claims", "reason"),
    [
        (", project_claim: project", {"project": "none"}, "its claim project names nothing that is declared here."),
        (", project_claim: project", {"project": ["search"]}, "its claim project names nothing that is declared here."),
        (", user_claim: email", {"email": "eve"}, "its claim email names nothing that is declared here."),
        (", organization_claim: org", {"org": "acm"}, "its claim org names nothing that is declared here."),
        (
            ", organization_claim: org, project_claim: p",
            {"org": "other", "p": "search"},
            "its claim org is not the organization of its project.",
        ),
    ],
)
def test_a_token_that_names_what_is_not_declared(settings: str, claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        Authenticator(with_jwt(settings)).authenticate(token("HS256", **claims))
    assert caught.value.message == f"Invalid bearer token: {reason}"
