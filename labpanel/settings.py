"""Django's settings. Values come from labpanel.env; nothing here decides."""

import dj_database_url
from csp.constants import NONCE, SELF

from labpanel import env
from labpanel.door import names

BASE_DIR = env.REPOSITORY
HOME_DIR = env.home()
RUNTIME_DIR = env.runtime()
HOME_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)

env.tempo()  # refuses the start where it is odd

SECRET_KEY = env.secret_key()
DEBUG = False
PUBLIC_URL = env.text("LABPANEL_URL")
# Which names are served is decided by labpanel.door, before Django hears of a request.
SERVED_NAMES = names.served(env.words("LABPANEL_ALLOWED_HOSTS"), PUBLIC_URL)
ALLOWED_HOSTS = [names.ANY]
TRUSTED_PROXIES = env.networks("LABPANEL_TRUSTED_PROXIES")
CSRF_TRUSTED_ORIGINS = [*env.words("LABPANEL_TRUSTED_ORIGINS"), *names.origin_of(PUBLIC_URL)]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",  # its table is emptied; the sessions are labpanel.accounts' own
    "django.contrib.staticfiles",
    "labpanel.clock",
    "labpanel.accounts",
    "labpanel.jobs",
    "hosts",
    "backups",
    "labpanel.moves",
    "labpanel.panel_copies",
    "labpanel.home",
    "labpanel.live",
    "labpanel.cli",
]

MIDDLEWARE = [
    "labpanel.door.headers.Headers",
    "django.middleware.security.SecurityMiddleware",
    "labpanel.home.middleware.PrintablePages",
    "csp.middleware.CSPMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "labpanel.home.middleware.NoNulls",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "labpanel.accounts.middleware.SignInRequired",
    "labpanel.accounts.middleware.SessionSeen",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "labpanel.home.middleware.FormsOnly",
]

ROOT_URLCONF = "labpanel.urls"
ASGI_APPLICATION = "labpanel.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["django.templatetags.i18n"],  # every text of a page is marked
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "labpanel.home.context.frame",
            ],
        },
    },
]

DATABASES = {
    "default": dj_database_url.parse(
        env.text("DATABASE_URL", f"sqlite:///{HOME_DIR / 'labpanel.sqlite3'}"),
        conn_max_age=60,
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        " PRAGMA cache_size=-2000; PRAGMA foreign_keys=ON;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_SOCKET = RUNTIME_DIR / "redis.sock"
REDIS_URL = env.text("REDIS_URL", f"unix://{REDIS_SOCKET}")
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "quick"
CELERY_TASK_ACKS_LATE = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_SERIALIZER = "json"
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "sign-in"
SESSION_ENGINE = "labpanel.accounts.session_store"
SESSION_COOKIE_NAME = "labpanel_session"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30
SESSION_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
HSTS = env.flag("LABPANEL_HSTS", default=True)
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
CSRF_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
CSRF_FAILURE_VIEW = "labpanel.home.views.errors.csrf_failed"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        "form-action": [SELF],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

STATIC_URL = "static/"
STATIC_ROOT = HOME_DIR / "static"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/uplot", BASE_DIR / "node_modules" / "uplot" / "dist"),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.text("TZ", "UTC") or "UTC"
USE_TZ = True
USE_I18N = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "labpanel.lib.log_line.LogLine",
            "fmt": "{asctime} {levelname} {name}: {message}",
            "datefmt": "%Y-%m-%d %H:%M:%S%z",
            "style": "{",
        }
    },
    "filters": {
        "seldom": {"()": "labpanel.lib.seldom.Seldom"},
        "masked": {"()": "labpanel.lib.masked.Masked"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["seldom", "masked"],
        }
    },
    "root": {"handlers": ["stderr"], "level": env.text("LABPANEL_LOG_LEVEL", "INFO")},
    "loggers": {
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "uvicorn": {"handlers": ["stderr"], "propagate": False},
        # Each request with its address: too much, and addresses hold tokens.
        "uvicorn.access": {"handlers": [], "propagate": False},
    },
}
