"""
The configuration file: what it says, where it is wrong, and what this gateway can not do.
"""

from hoopx.config.errors import ConfigurationErrors
from hoopx.config.loader import load, parse
from hoopx.config.settings import (
    AlertSettings,
    ApiSettings,
    ApprovalSettings,
    DetectSettings,
    GatewaySettings,
    GrantSettings,
    GuardSettings,
    IdentitySettings,
    ListenerSettings,
    MaskSettings,
    MetricsSettings,
    OidcSettings,
    RecordingSettings,
    RetentionSettings,
    SamlSettings,
    SecretsSettings,
    Settings,
    StoreSettings,
    TlsSettings,
    TokensSettings,
)
from hoopx.config.targets import ConfiguredTargets
from hoopx.config.unsupported import references, unreadable, unsupported

__all__ = [
    "AlertSettings",
    "ApiSettings",
    "ApprovalSettings",
    "ConfigurationErrors",
    "ConfiguredTargets",
    "DetectSettings",
    "GatewaySettings",
    "GrantSettings",
    "GuardSettings",
    "IdentitySettings",
    "ListenerSettings",
    "MaskSettings",
    "MetricsSettings",
    "OidcSettings",
    "RecordingSettings",
    "RetentionSettings",
    "SamlSettings",
    "SecretsSettings",
    "Settings",
    "StoreSettings",
    "TlsSettings",
    "TokensSettings",
    "load",
    "parse",
    "references",
    "unreadable",
    "unsupported",
]
