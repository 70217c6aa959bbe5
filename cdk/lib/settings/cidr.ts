/** A range of IPv4 addresses. */
export interface Cidr {
  /** Its first address, as a number. */
  readonly first: number;
  readonly prefixLength: number;
}

/** The range that `text` names; undefined when it names none, or an address within one. */
export function parseCidr(text: string): Cidr | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.slice(0, 4).some((byte) => byte > 255)) {
    return undefined;
  }
  const prefixLength = parts[4] ?? 0;
  const first = parts.slice(0, 4).reduce((sum, byte) => sum * 256 + byte, 0);
  return prefixLength <= 32 && first % addresses({ first, prefixLength }) === 0 ? { first, prefixLength } : undefined;
}

export function addresses(cidr: Cidr): number {
  return 2 ** (32 - cidr.prefixLength);
}

export function overlap(one: Cidr, other: Cidr): boolean {
  return one.first < other.first + addresses(other) && other.first < one.first + addresses(one);
}

function contains(outer: Cidr, inner: Cidr): boolean {
  return inner.prefixLength >= outer.prefixLength && overlap(outer, inner);
}

const range = (a: number, b: number, prefixLength: number): Cidr => ({ first: (a * 256 + b) * 65_536, prefixLength });

/** RFC 1918, and the shared range that VPCs may have too. */
const PRIVATE = [range(10, 0, 8), range(172, 16, 12), range(192, 168, 16), range(100, 64, 10)];

export function isPrivate(cidr: Cidr): boolean {
  return PRIVATE.some((one) => contains(one, cidr));
}

/** Docker's bridge on every host: addresses of the network in it could not be reached. */
export const DOCKER_BRIDGE = range(172, 17, 16);
