/** DER (X.690), as far as certificates need it, and strictly. */

import type { Bytes } from "./bytes.js";

/** Thrown for whatever is not DER, or not what was expected. */
export class Malformed extends Error {}

export const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const NULL = 0x05;
export const OID = 0x06;
export const UTC_TIME = 0x17;
export const GENERALIZED_TIME = 0x18;
export const SEQUENCE = 0x30;
export const SET = 0x31;

/** The tag of `[number]`, constructed. */
export function context(number: number): number {
  return 0xa0 | number;
}

/** One value: its tag, its content, and all of it. */
export interface Value {
  tag: number;
  content: Bytes;
  whole: Bytes;
}

/** Reads values, one after the other. */
export class Reader {
  private at = 0;

  constructor(private readonly bytes: Bytes) {}

  /** Whether there is no further value. */
  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  /** The next value, which must have this tag if one is given. */
  next(tag?: number): Value {
    const start = this.at;
    const found = this.byte();
    // Tags of several octets are in no certificate.
    if ((found & 0x1f) === 0x1f || (tag !== undefined && found !== tag)) {
      throw new Malformed();
    }
    const length = this.length();
    const from = this.at;
    if (length > this.bytes.length - from) {
      throw new Malformed();
    }
    this.at = from + length;
    const slice = (begin: number) => this.bytes.subarray(begin, this.at);
    return { tag: found, content: slice(from), whole: slice(start) };
  }

  /** The next value if it has this tag. */
  optional(tag: number): Value | undefined {
    return this.bytes[this.at] === tag ? this.next() : undefined;
  }

  /** The values in the next one. */
  open(tag: number): Reader {
    return new Reader(this.next(tag).content);
  }

  /** Throws if there is a further value. */
  end(): void {
    if (!this.isAtEnd) {
      throw new Malformed();
    }
  }

  private byte(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) {
      throw new Malformed();
    }
    this.at += 1;
    return byte;
  }

  private length(): number {
    const first = this.byte();
    if (first < 0x80) {
      return first;
    }
    const octets = first & 0x7f;
    if (octets === 0 || octets > 3) {
      throw new Malformed();
    }
    let length = 0;
    for (let read = 0; read < octets; read += 1) {
      length = length * 256 + this.byte();
    }
    // The shortest form is the only one.
    if (length < 0x80 || length < 256 ** (octets - 1)) {
      throw new Malformed();
    }
    return length;
  }
}

/** The only value in these bytes. */
export function only(bytes: Bytes, tag?: number): Value {
  const reader = new Reader(bytes);
  const value = reader.next(tag);
  reader.end();
  return value;
}

/** An object identifier with dots. */
export function oid({ content }: Value): string {
  const arcs: number[] = [];
  let arc = 0;
  content.forEach((byte, at) => {
    const isFirst = at === 0 || content[at - 1]! < 0x80;
    if ((isFirst && byte === 0x80) || arc > 2 ** 40) {
      throw new Malformed();
    }
    arc = arc * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      arcs.push(arc);
      arc = 0;
    }
  });
  const first = arcs.shift();
  if (first === undefined || content[content.length - 1]! >= 0x80) {
    throw new Malformed();
  }
  const top = Math.min(Math.floor(first / 40), 2);
  return [top, first - top * 40, ...arcs].join(".");
}

/** The octets of an INTEGER in the shortest form, most significant first. */
export function integer({ content }: Value): Bytes {
  const [first, second] = content;
  const isPadded =
    second !== undefined &&
    ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (first === undefined || isPadded) {
    throw new Malformed();
  }
  return content;
}

/** The octets of a positive INTEGER, without the zero that keeps it positive. */
export function positive(value: Value): Bytes {
  const octets = integer(value);
  if (octets[0]! >= 0x80 || (octets.length === 1 && octets[0] === 0)) {
    throw new Malformed();
  }
  return octets[0] === 0 ? octets.subarray(1) : octets;
}

/** A BOOLEAN. */
export function boolean({ content }: Value): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
    throw new Malformed();
  }
  return content[0] === 0xff;
}

/** The octets of a BIT STRING that has whole ones. */
export function bitString({ content }: Value): Bytes {
  if (content[0] !== 0) {
    throw new Malformed();
  }
  return content.subarray(1);
}

/** A UTCTime or GeneralizedTime as RFC 5280 allows it, in milliseconds since 1970. */
export function time({ tag, content }: Value): number {
  const text = String.fromCharCode(...content);
  const form = tag === UTC_TIME ? /^(\d\d)(\d{10})Z$/ : /^(\d{4})(\d{10})Z$/;
  const found = form.exec(text);
  if (found === null || (tag !== UTC_TIME && tag !== GENERALIZED_TIME)) {
    throw new Malformed();
  }
  let year = Number(found[1]);
  if (tag === UTC_TIME) {
    year += year < 50 ? 2000 : 1900;
  }
  const [month, day, hour, minute, second] = found[2]!.match(/\d\d/g)!;
  const iso = `${String(year).padStart(4, "0")}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const ms = Date.parse(iso);
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== iso) {
    throw new Malformed();
  }
  return ms;
}
