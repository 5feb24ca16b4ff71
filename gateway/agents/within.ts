// Paths in paths, both absolute and without links. Pure.
import { sep } from "node:path";

export function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder === sep ? sep : folder + sep);
}

export function overlaps(one: string, other: string): boolean {
  return isWithin(one, other) || isWithin(other, one);
}
