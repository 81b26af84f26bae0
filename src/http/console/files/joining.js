// How a first device joins.

import { html } from "./view.js";

const DOMAIN_SERVER = new URL("../flashaccess/domainserver/", import.meta.url);

/** Says how a device joins the domain of this name, which that creates if need be. */
export function Joining({ domain }) {
  const url = new URL(`${encodeURIComponent(domain)}/`, DOMAIN_SERVER);
  return html`
    <div class="joining">
      <p>On a device, or on any machine that plays one:</p>
      <pre>domain-device --dir television join ${url.href}</pre>
      <p>What a device is told before it joins, and the certificate of the CA that it is to trust:</p>
      <pre>${`curl ${url.href}\ncurl ${DOMAIN_SERVER.href}ca.pem`}</pre>
      <p class="fine">
        If this console has a listener of its own, take the origin that devices reach instead
        of <code>${DOMAIN_SERVER.origin}</code>. A domain that does not exist is created by the first
        device, unless the server's setting <code>auto_create_domains</code> is off.
      </p>
    </div>
  `;
}
