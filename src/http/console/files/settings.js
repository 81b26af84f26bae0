// A domain's settings, and what a change of them means.

import { counted, shownNumber } from "./format.js";
import { Component, html } from "./view.js";

/** What fields hold, from settings. */
export const fieldsOf = ({ authenticationRequired, authNamespace, maxMembership }) => ({
  authentication: authenticationRequired,
  namespace: authNamespace ?? "",
  maximum: maxMembership === null ? "" : String(maxMembership),
});

/** Settings from what fields hold. */
export const readSettings = ({ authentication, namespace, maximum }) => ({
  authenticationRequired: authentication,
  authNamespace: namespace === "" ? null : namespace,
  maxMembership: maximum.trim() === "" ? null : Number(maximum),
});

const isMaximum = (text) => /^\s*\d*\s*$/.test(text) && Number.isSafeInteger(Number(text));

/** The fields, which belong to the nearest form. */
export function SettingsFields({ id, fields, changed }) {
  // Each time, since a field is also filled without its user.
  const check = (input) =>
    input?.setCustomValidity(
      isMaximum(fields.maximum) ? "" : "A whole number from 0, or nothing",
    );
  return html`
    <div class="field">
      <label for="${id}-maximum">Maximum of members</label>
      <input
        id="${id}-maximum"
        class="short"
        ref=${check}
        inputmode="numeric"
        autocomplete="off"
        value=${fields.maximum}
        aria-describedby="${id}-maximum-help"
        onInput=${(event) => changed({ maximum: event.target.value })}
      />
      <p class="fine" id="${id}-maximum-help">Empty: no maximum. 0: nobody new.</p>
    </div>
    <div class="field check">
      <input
        id="${id}-authentication"
        type="checkbox"
        checked=${fields.authentication}
        onChange=${(event) => changed({ authentication: event.target.checked })}
      />
      <label for="${id}-authentication">Require authentication to join and to leave</label>
    </div>
    <div class="field">
      <label for="${id}-namespace">Authentication namespace</label>
      <input
        id="${id}-namespace"
        value=${fields.namespace}
        autocomplete="off"
        autocapitalize="off"
        spellcheck=${false}
        aria-describedby="${id}-namespace-help"
        onInput=${(event) => changed({ namespace: event.target.value })}
      />
      <p class="fine" id="${id}-namespace-help">
        Empty: tokens of any namespace do. It counts where authentication is required.
      </p>
    </div>
  `;
}

/** What changes from a domain's settings to others, in sentences. */
export function changes(domain, settings) {
  const { domain: name, memberCount = 0 } = domain;
  const sentences = [];
  const maximum = settings.maxMembership;
  if (maximum !== domain.maxMembership) {
    if (maximum === null) {
      sentences.push("The maximum is lifted: any number of machines may join.");
    } else if (maximum > memberCount) {
      const left = counted(maximum - memberCount, "more machine");
      sentences.push(`The maximum becomes ${shownNumber(maximum)}: ${left} may join.`);
    } else {
      const removed = memberCount > 0 ? ", and nobody is removed" : "";
      sentences.push(
        `The maximum becomes ${shownNumber(maximum)}: no new machine may join${removed}.`,
      );
    }
  }
  if (settings.authenticationRequired !== domain.authenticationRequired) {
    sentences.push(
      settings.authenticationRequired
        ? `Joining ${name}, asking for its keys and leaving need an authentication token, also of members.`
        : `Anyone may join and leave ${name} without an authentication token.`,
    );
  }
  if (settings.authNamespace !== domain.authNamespace) {
    const { authNamespace: namespace } = settings;
    sentences.push(
      namespace === null
        ? "Tokens of any namespace are taken, where authentication is required."
        : `Only tokens of the namespace “${namespace}” are taken, where authentication is required.`,
    );
  }
  return sentences;
}

const areSame = (one, other) =>
  one.authenticationRequired === other.authenticationRequired &&
  one.authNamespace === other.authNamespace &&
  one.maxMembership === other.maxMembership;

/** The settings of a domain. They follow the server until they are edited here. */
export class SettingsForm extends Component {
  /** What the fields hold, of which domain, under which entity tag; `null` if not edited. */
  state = { edited: null };

  /**
   * An edit that the server has now is none any more, as after a save whose answer was lost. (As long
   * as the server has what it began with, a field that was set back is still being edited.)
   */
  static getDerivedStateFromProps({ domain, entityTag }, { edited }) {
    const isThere =
      edited && edited.entityTag !== entityTag && areSame(readSettings(edited.fields), domain);
    return isThere ? { edited: null } : null;
  }

  change = (changed) => {
    const { domain, entityTag } = this.props;
    const edited = this.state.edited ?? { domain, entityTag, fields: fieldsOf(domain) };
    this.setState({ edited: { ...edited, fields: { ...edited.fields, ...changed } } });
  };

  forget = () => this.setState({ edited: null });

  submit = (event) => {
    event.preventDefault();
    const { domain, entityTag, fields } = this.state.edited;
    const settings = readSettings(fields);
    const sentences = changes({ ...domain, memberCount: this.props.domain.memberCount }, settings);
    if (sentences.length === 0) {
      this.forget();
      return;
    }
    this.props.save(settings, entityTag, sentences, this.forget);
  };

  render({ domain, entityTag }, { edited }) {
    const isOutdated = edited && edited.entityTag !== entityTag;
    return html`
      <form onSubmit=${this.submit}>
        <${SettingsFields}
          id="settings"
          fields=${edited?.fields ?? fieldsOf(domain)}
          changed=${this.change}
        />
        ${
          isOutdated &&
          html`
            <p class="problem" role="alert">
              Someone else has changed these settings meanwhile. Discard your changes to see them.
            </p>
          `
        }
        <div class="actions start">
          <button class="primary" disabled=${!edited}>Save…</button>
          <button type="button" disabled=${!edited} onClick=${this.forget}>Discard changes</button>
        </div>
      </form>
    `;
  }
}
