"""What a person types to get in, and to change what gets them in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.contrib.auth.forms import (
    AuthenticationForm,
    BaseUserCreationForm,
    PasswordChangeForm,
    SetPasswordForm,
    UsernameField,
)
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from labpanel.accounts.services import limit, note
from labpanel.accounts.services.hashing import hashing
from labpanel.door.asked_from import asked_from
from labpanel.lib.client_address import ClientAddress
from labpanel.lib.refusal import Refusal

# What settings.AUTH_PASSWORD_VALIDATORS ask for, in one sentence.
PASSWORD_HINT = "At least 10 characters; none of the common ones, and not like your name."  # noqa: S105
AGAIN = "The same password again"
DIFFER: dict[str, Any] = {"password_mismatch": "The two passwords differ."}
TOO_MANY = 429

if TYPE_CHECKING:  # generic in the stubs only
    CreationForm = BaseUserCreationForm[User]
    NewPassword = SetPasswordForm[User]
else:
    CreationForm = BaseUserCreationForm
    NewPassword = SetPasswordForm


@contextmanager
def counted(
    form: "SignInForm | ChangePasswordForm", address: ClientAddress, name: str
) -> Iterator[None]:
    """Around one comparison of a password: within the limit, a few at a time.

    Raises ValidationError for what is too much, and sets the form's status. What is raised inside
    is a wrong password and counts.
    """
    try:
        this = limit.begin(address, name)
        try:
            with hashing.place(stranger=this.stranger):
                yield
        except Refusal:
            limit.not_looked_at(this)
            raise
        except ValidationError:
            note.wrong_password(address)
            raise
    except limit.TooMany as error:
        form.status = TOO_MANY
        raise ValidationError(error.sentence, code="too_many") from error
    except Refusal as busy:
        form.status = busy.http_status
        raise ValidationError(busy.sentence, code="busy") from busy
    limit.succeeded(this)


class FirstAdminForm(CreationForm):
    """Name and password of the first account, the password twice."""

    error_messages = DIFFER

    class Meta:
        model = User
        fields = ("username",)
        field_classes = {"username": UsernameField}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["username"].label = "User name"
        self.fields["username"].widget.attrs["autocomplete"] = "username"
        self.fields["password2"].label = AGAIN
        for name in ("username", "password2"):
            self.fields[name].help_text = ""
        self.fields["password1"].help_text = PASSWORD_HINT


class SignInForm(AuthenticationForm):
    """Name and password, with a limit on how often they may be tried."""

    error_messages = {
        "invalid_login": "This user name and password do not belong together.",
        "inactive": "This account is switched off.",
    }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["username"].label = "User name"
        self.status = 200

    def clean(self) -> dict[str, Any]:
        name = self.cleaned_data.get("username")
        if not name or not self.cleaned_data.get("password") or self.request is None:
            return self.cleaned_data
        with counted(self, asked_from(self.request), name):
            return dict(super().clean())


class NewPasswordForm(NewPassword):
    """A new password, twice; for who came with a link."""

    error_messages = DIFFER

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["new_password1"].help_text = PASSWORD_HINT
        self.fields["new_password2"].label = AGAIN
        self.fields["new_password2"].help_text = ""


class ChangePasswordForm(PasswordChangeForm):
    """The old password and a new one, twice. Old ones are counted as a sign-in's are."""

    error_messages = {**DIFFER, "password_incorrect": "This is not your password."}

    def __init__(self, user: User, address: ClientAddress, *args: Any, **options: Any) -> None:
        super().__init__(user, *args, **options)
        self.address = address
        self.status = 200
        self.fields["old_password"].label = "Your password now"
        self.fields["new_password1"].label = "New password"
        self.fields["new_password1"].help_text = PASSWORD_HINT
        self.fields["new_password2"].label = AGAIN
        self.fields["new_password2"].help_text = ""

    def clean_old_password(self) -> str:
        with counted(self, self.address, self.user.get_username()):
            return str(super().clean_old_password())
