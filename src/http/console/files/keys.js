// The versions of a domain's key and their certificates.

import { Chart } from "./chart.js";
import { fingerprint, pem, readCertificate } from "./der.js";
import { counted } from "./format.js";
import { Facts, Time } from "./parts.js";
import { Component, html } from "./view.js";

/** How many versions are listed until more are asked for. */
const FEW = 10;

/** What was read of certificates. A key stays one object while it is shown. */
const read = new WeakMap();

function certificateOf(key) {
  if (!read.has(key)) {
    let certificate = null;
    try {
      certificate = readCertificate(key.x5c[0]);
    } catch {
      // It is shown as PEM all the same.
    }
    read.set(key, certificate);
  }
  return read.get(key);
}

class Certificate extends Component {
  state = { fingerprint: null };

  async componentDidMount() {
    this.setState({ fingerprint: await fingerprint(this.props.of.x5c[0]) });
  }

  render({ of }, state) {
    const certificate = certificateOf(of);
    const read = certificate && [
      ["Subject", certificate.subject],
      ["Issuer", certificate.issuer],
      ["Serial number", html`<code>${certificate.serial}</code>`],
      ["Valid from", html`<${Time} at=${certificate.notBefore} />`],
      ["Valid until", html`<${Time} at=${certificate.notAfter} />`],
      ["Key", certificate.keyType],
      ["Signed with", certificate.signature],
      ...certificate.uris.map((uri) => ["URI", html`<code>${uri}</code>`]),
      state.fingerprint && ["SHA-256", html`<code>${state.fingerprint}</code>`],
    ];
    const facts = [["Name", html`<code>${of.kid}</code>`], ...(read ?? []).filter(Boolean)];
    return html`
      <${Facts} of=${facts} />
      <pre class="pem" role="region" tabindex="0" aria-label="Certificate in PEM">${pem(of.x5c[0])}</pre>
      <p class="fine">${counted(of.x5c.length - 1, "certificate")} above it in its chain.</p>
    `;
  }
}

class Version extends Component {
  state = { open: false };

  toggle = (event) => this.setState({ open: event.target.open });

  render({ of }, { open }) {
    return html`
      <details onToggle=${this.toggle}>
        <summary>
          <span><strong>Version ${of.keyVersion}</strong></span>
          <span>made <${Time} at=${of.createdAt} /></span>
        </summary>
        ${open && html`<${Certificate} key=${of.x5c[0]} of=${of} />`}
      </details>
    `;
  }
}

export class Keys extends Component {
  state = { all: false };

  render({ keys, now }, { all }) {
    if (keys.length === 0) {
      return html`<p>No key yet: the first machine that joins makes it.</p>`;
    }
    const newestFirst = keys.toReversed();
    const shown = all ? newestFirst : newestFirst.slice(0, FEW);
    return html`
      <${Chart} keys=${keys} now=${now} />
      <div class="versions">
        ${shown.map((key) => html`<${Version} key=${key.keyVersion} of=${key} />`)}
      </div>
      ${
        shown.length < keys.length &&
        html`
          <button onClick=${() => this.setState({ all: true })}>
            Show all ${keys.length} versions
          </button>
        `
      }
    `;
  }
}
