"""All tests of the service run with unreachable proxies: nothing may ask them."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def unreachable_proxies():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            patch.setenv(name, "http://127.0.0.1:9")
        for name in ("NO_PROXY", "no_proxy"):
            patch.delenv(name, raising=False)
        yield
