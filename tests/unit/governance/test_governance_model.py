"""Names, masks and roles: pure rules."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo_server.core.errors import Invalid
from octavo_server.edge.access import SERVER_PERMISSIONS, Permission
from octavo_server.governance.model import (
    ROLE_PERMISSIONS,
    Role,
    check_email,
    check_environment,
    check_masks,
    check_password,
    check_slug,
    outranks,
    permissions_in_project,
    slug_of,
)


@pytest.mark.parametrize("name", ["", "Staging", "langfuse-x", "a b", "x" * 41, "ü", "a\n"])
def test_an_environment_has_a_plain_name(name: str) -> None:
    with pytest.raises(Invalid, match="environment"):
        check_environment(name)


@pytest.mark.parametrize(
    "mask", ["(", r"(a+)+", r"(a)\1", r"(?=a)", r"(?<!a)b", r"(a|a)*b", "x*", "a" * 501, r"(?P<x>a)(?P=x)"]
)
def test_a_mask_that_could_hang_or_eat_everything_is_refused(mask: str) -> None:
    with pytest.raises(Invalid, match="mask"):
        check_masks((mask,))


@pytest.mark.parametrize("mask", [r"\b\d{4}[- ]?\d{4}\b", r"[\w.]+@[\w.]+", r"(?i)secret-[a-z]+", r"(?:foo|bar)-\d+"])
def test_an_ordinary_mask_is_taken(mask: str) -> None:
    assert check_masks((mask,)) == (mask,)


@given(st.text(max_size=100))
def test_every_name_makes_a_slug(name: str) -> None:
    assert check_slug(slug_of(name))


@pytest.mark.parametrize("email", ["", "ada", "@x", "a@", "a b@x", "a\0b@x", "x" * 65 + "@x"])
def test_what_is_no_email_is_refused(email: str) -> None:
    with pytest.raises(Invalid, match="email"):
        check_email(email)


def test_an_email_is_kept_in_lower_case() -> None:
    assert check_email("Ada@Example.COM") == "ada@example.com"


@pytest.mark.parametrize("password", ["short", "x" * 257])
def test_a_password_has_a_sensible_length_and_is_not_shown(password: str) -> None:
    with pytest.raises(Invalid, match="8 to 256") as refused:
        check_password(password)
    assert password not in refused.value.message


def test_roles_contain_each_other() -> None:
    ladder = [ROLE_PERMISSIONS[role] for role in (Role.MEMBER, Role.VIEWER, Role.DEVELOPER, Role.ADMIN)]
    assert all(lower < higher for lower, higher in pairwise(ladder))


@given(st.sampled_from(Role), st.sampled_from(Role))
def test_ranks_are_an_order(one: Role, other: Role) -> None:
    assert not (outranks(one, other) and outranks(other, one))
    assert outranks(one, other) or outranks(other, one) or one is other


@given(st.sampled_from(Role), st.one_of(st.none(), st.sampled_from(Role)))
def test_a_membership_only_adds_and_never_what_is_about_the_server(role: Role, here: Role | None) -> None:
    alone, together = permissions_in_project(role, None), permissions_in_project(role, here)
    assert alone <= together
    assert not (together - alone) & SERVER_PERMISSIONS
    assert not together & {Permission.PUBLIC, Permission.ANY}
