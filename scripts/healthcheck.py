"""The container's health check: does the platform inside answer? Exit status 0 if so."""

import os
import ssl
import sys
import urllib.request

TIMEOUT_S = 4

scheme = "https" if {"FIP_TLS_CERT", "FIP_TLS_CERT_FILE"} & os.environ.keys() else "http"
url = f"{scheme}://127.0.0.1:{os.environ.get('FIP_PORT', '8000')}/health/live"
# The certificate is for the public name, and nobody is between us and ourselves. No proxy either.
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
)
try:
    with opener.open(url, timeout=TIMEOUT_S):
        pass
except OSError as error:
    sys.exit(f"{url}: {error}")
