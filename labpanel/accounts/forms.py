"""What a person types to get in."""

from typing import TYPE_CHECKING, Any

from django.contrib.auth.forms import AuthenticationForm, BaseUserCreationForm, UsernameField
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from labpanel.accounts.services import limit

# What settings.AUTH_PASSWORD_VALIDATORS ask for, in one sentence.
PASSWORD_HINT = "At least 10 characters; none of the common ones, and not like your name."  # noqa: S105

if TYPE_CHECKING:  # generic in the stubs only
    CreationForm = BaseUserCreationForm[User]
else:
    CreationForm = BaseUserCreationForm


class FirstAdminForm(CreationForm):
    """Name and password of the first account, the password twice."""

    class Meta:
        model = User
        fields = ("username",)
        field_classes = {"username": UsernameField}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["username"].label = "User name"
        self.fields["username"].widget.attrs["autocomplete"] = "username"
        self.fields["password2"].label = "The same password again"
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
        self.too_many: limit.TooMany | None = None

    def clean(self) -> dict[str, Any]:
        name = self.cleaned_data.get("username")
        if not name or not self.cleaned_data.get("password"):
            return self.cleaned_data
        address = str(self.request.META.get("REMOTE_ADDR", "")) if self.request else ""
        try:
            this = limit.begin(address, name)
        except limit.TooMany as error:
            self.too_many = error
            raise ValidationError(error.sentence, code="too_many") from error
        cleaned = super().clean()
        limit.succeeded(this)
        return dict(cleaned)
