"""
Declarations of protocols and backends. Other distributions add their own beside these.
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list = []
