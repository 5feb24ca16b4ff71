// What was used, as the reader's language has numbers and money.
import { canonical, type Say } from "../words.ts";

/** "12.3K". */
export function compact(value: number, { language }: Say): string {
  return format(value, language, { notation: "compact", maximumFractionDigits: 1 });
}

export function dollars(value: number, { language }: Say): string {
  return format(value, language, { style: "currency", currency: "USD", maximumFractionDigits: 4 });
}

function format(value: number, language: string, options: Intl.NumberFormatOptions): string {
  return new Intl.NumberFormat(canonical(language), options).format(value);
}
