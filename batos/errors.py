"""Every error batos tells anybody about: its code on the wire, its exit code, its remedy.

One class per code of the wire protocol ("batos message 1"), and a few that only a command line can
meet (no image awake, image already awake, damaged image).  An error states the fact, names the
object or file, and ends with the next command to type; `line` and `rule` say where a guardian or a
rule objected.  What is not a `BatosError` is a bug of ours and is logged whole, as `internal`.
"""

from __future__ import annotations

from typing import Any


class BatosError(Exception):
    """A failure with a code; `str(error)` is the sentence, the rest travels beside it."""

    code = "internal"
    exit_code = 1
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        near: list[str] | None = None,
        mission: str | None = None,
        line: int | None = None,
        rule: str | None = None,
        retryable: bool | None = None,
    ):
        super().__init__(message)
        self.hint = hint
        self.near = near
        self.mission = mission
        self.line = line
        self.rule = rule
        if retryable is not None:
            self.retryable = retryable

    def to_wire(self) -> dict[str, Any]:
        """The `error` object of a reply; optional fields stand only where there is something to say."""
        told = {"code": self.code, "message": str(self), "retryable": self.retryable}
        for name in ("hint", "near", "mission", "line", "rule"):
            value = getattr(self, name)
            if value is not None:
                told[name] = value
        return told


class BadRequest(BatosError):
    code, exit_code = "bad_request", 2


class WrongArguments(BatosError):
    code, exit_code = "wrong_arguments", 2


class NoSuchObject(BatosError):
    code, exit_code = "no_such_object", 3


class NotUnderstood(BatosError, AttributeError):
    """A message no slot along the parents answers.

    It is an `AttributeError` too, so that `hasattr`, `getattr` with a default, `copy` and every
    other library probe of an object finds an ordinary missing attribute.
    """

    code, exit_code = "not_understood", 3


class Ambiguous(BatosError):
    code, exit_code = "ambiguous", 1


class MethodError(BatosError):
    """What an installed method raised; the original is `__cause__`."""

    code, exit_code = "method_error", 1


class Refused(BatosError):
    code, exit_code = "refused", 1


class MissionFailed(BatosError):
    code, exit_code = "mission_failed", 1


class Conflict(BatosError):
    code, exit_code = "conflict", 4


class Deadline(BatosError):
    code, exit_code, retryable = "deadline", 1, True


class Cancelled(BatosError):
    code, exit_code = "cancelled", 1


class Busy(BatosError):
    code, exit_code, retryable = "busy", 1, True


class TooLarge(BatosError):
    code, exit_code = "too_large", 1


class NoMind(BatosError):
    code, exit_code = "no_mind", 7


class ReadOnly(BatosError):
    code, exit_code = "read_only", 1


class Internal(BatosError):
    code, exit_code = "internal", 1


class Usage(BatosError):
    """The command line itself is off; never on the wire."""

    code, exit_code = "usage", 2


class NoSuchFile(BatosError):
    code, exit_code = "no_such_file", 3


class NobodyAwake(BatosError):
    """No image answers at the endpoint within two seconds."""

    code, exit_code, retryable = "nobody_awake", 5, True


class AlreadyAwake(BatosError):
    """Another live process holds the image."""

    code, exit_code, retryable = "already_awake", 6, True


class Damaged(BatosError):
    code, exit_code = "damaged", 9


class NewerImage(BatosError):
    """A newer batos wrote the image; never on the wire."""

    code, exit_code = "newer_image", 1


WIRE_ERRORS = {
    kind.code: kind
    for kind in (
        BadRequest, WrongArguments, NoSuchObject, NotUnderstood, Ambiguous, MethodError, Refused,
        MissionFailed, Conflict, Deadline, Cancelled, Busy, TooLarge, NoMind, ReadOnly, Internal,
    )
}  # fmt: skip


def from_wire(told: dict[str, Any]) -> BatosError:
    """The exception a client raises for the `error` object of a reply."""
    kind = WIRE_ERRORS.get(told.get("code", ""), Internal)
    extras = {name: told.get(name) for name in ("hint", "near", "mission", "line", "rule")}
    return kind(told.get("message", "no message"), retryable=told.get("retryable"), **extras)
