"""The gateway behind nginx, as deploy/nginx has it."""

from pathlib import Path

from gateway import Gateway
from ports import free_port
from proxies import Nginx, replaced

ALL_ELSE = """    location / {
        proxy_pass http://anonymous_domains;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header Forwarded "";
    }
"""


class OpenNginx(Nginx):
    """The configuration, but what is not for the public is passed on too, and there may be as many
    connections as tests have."""

    def adapted(self, site: str) -> str:
        nothing = "    location / {\n        return 404;\n    }\n"
        changes = {nothing: ALL_ELSE, "clients 100;": "clients 4000;"}
        return replaced(super().adapted(site), changes)


class BehindNginx(Gateway):
    """A gateway that its clients reach through nginx alone, and that is told so."""

    proxy: OpenNginx | None = None
    own_address: str

    def start(self) -> "BehindNginx":
        if self.proxy is None:
            self.own_address = f"127.0.0.1:{free_port()}"
            directory = self.state.with_name(f"{self.state.name}-nginx")
            directory.mkdir()
            self.proxy = OpenNginx(directory, self.own_address)
            self.settings = {"public_origin": self.proxy.origin, **self.settings}
            self.flags = (*self.flags, "--trusted-proxy", "127.0.0.1/32")
        self.address = self.own_address
        super().start()
        if self.proxy.process is None:
            self.proxy.start()
        self.scheme, self.address = "https", f"localhost:{self.proxy.port}"
        return self

    @property
    def certificate(self) -> Path | None:
        return self.proxy.certificate.certificate

    def close(self):
        super().close()
        self.proxy.close()
