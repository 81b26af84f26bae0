/** A domain server URL. */

import { UsageError } from "./errors.js";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** Names that are files of the server. */
const RESERVED = ["ca.pem", "ca-next.pem"];
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * A domain server URL, `{origin}/flashaccess/domainserver/{domain}/`, in normal form: the domain's name
 * percent-decoded, and no slash at the end.
 */
export class DomainUrl {
  private constructor(
    /** The normal form. */
    readonly href: string,
    readonly domain: string,
    /** Whether others on the network could read a token that is sent there: http to another host. */
    readonly exposesTokens: boolean,
  ) {}

  /** Parses an absolute http or https URL whose last path segment is a domain's name, or throws. */
  static parse(text: string | URL): DomainUrl {
    // A URL with user information may have a password.
    const shown = String(text).includes("@") ? "This" : text;
    const usage = (why: string) =>
      new UsageError(
        `${shown} is not a domain server URL: ${why}. It should look like ` +
          "https://example.org/flashaccess/domainserver/living-room/",
      );
    let url: URL;
    try {
      url = new URL(String(text));
    } catch {
      throw usage("it is not a URL");
    }
    if (url.protocol !== "http:" && url.protocol !== "https:") {
      throw usage("it must begin with http:// or https://");
    }
    if (url.username !== "" || url.password !== "" || /[?#]/.test(String(text))) {
      throw usage("it must have no user name, no query and no fragment");
    }
    const path = url.pathname.replace(/\/+$/, "");
    const slash = path.lastIndexOf("/");
    const domain = decoded(path.slice(slash + 1));
    if (domain === undefined || !NAME.test(domain) || RESERVED.includes(domain)) {
      throw usage("it must end with the domain's name");
    }
    const exposes = url.protocol === "http:" && !LOOPBACK.test(url.hostname);
    return new DomainUrl(`${url.origin}${path.slice(0, slash)}/${domain}`, domain, exposes);
  }

  get register(): string {
    return `${this.href}/register`;
  }

  get deregister(): string {
    return `${this.href}/deregister`;
  }

  /** The domain CA's certificates, beside all domains. */
  get caCertificates(): string {
    return this.href.replace(/[^/]*$/, "ca.pem");
  }
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
