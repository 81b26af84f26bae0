"""An operator's client of `/admin/v1`."""

from urllib.parse import quote, urlencode

from client import Answer, Client
from machines import compact

USUAL = {"authenticationRequired": False, "authNamespace": None, "maxMembership": None}


class Admin:
    def __init__(self, client: Client, token: str):
        self.client = client
        self.token = token

    def send(self, method, path, body=None, headers=None, token: str | None = "") -> Answer:
        """One call; `token` is the usual one unless given, and None sends none."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.token}"
        if body is not None and not isinstance(body, bytes):
            body = compact(body)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        return self.client.send(method, "/admin/v1" + path, body, sent)

    @staticmethod
    def path(domain: str, tail: str = "") -> str:
        return f"/domains/{quote(domain)}{tail}"

    def get(self, domain: str, tail: str = "", **query) -> Answer:
        text = "?" + urlencode(query) if query else ""
        return self.send("GET", self.path(domain, tail) + text)

    def put(self, domain: str, headers=None, **settings) -> Answer:
        return self.send("PUT", self.path(domain), {**USUAL, **settings}, headers)

    def set(self, domain: str, **settings) -> dict:
        """Create or replace a domain's settings; the Domain that comes back."""
        answer = self.put(domain, **settings)
        assert answer.status in (200, 201), answer.body
        return answer.json()

    def delete(self, domain: str, tail: str = "") -> Answer:
        return self.send("DELETE", self.path(domain, tail))

    def block(self, domain: str, guid: str) -> Answer:
        return self.send("PUT", self.path(domain, f"/blocked/{guid}"))

    def unblock(self, domain: str, guid: str) -> Answer:
        return self.delete(domain, f"/blocked/{guid}")

    def everything(self, path: str, name: str, limit: int = 100) -> list[dict]:
        """A list by its pages, each no longer than `limit`."""
        found, after = [], None
        while True:
            query = {"limit": limit} | ({"after": after} if after is not None else {})
            page = self.send("GET", f"{path}?{urlencode(query)}").ok()
            assert set(page) == {name, "next"}
            assert len(page[name]) <= limit
            found += page[name]
            if page["next"] is None:
                return found
            assert isinstance(page["next"], str)
            assert page[name], "an empty page that is not the last"
            assert page["next"] != after, "a page that leads to itself"
            after = page["next"]

    def members(self, domain: str, limit: int = 100) -> list[dict]:
        return self.everything(self.path(domain, "/members"), "members", limit)

    def blocked(self, domain: str, limit: int = 100) -> list[dict]:
        return self.everything(self.path(domain, "/blocked"), "blocked", limit)
