// The sign-in cookie: its name and path, by the address that browsers have of the gateway. Over https no page of a neighbouring host can plant
// one (`__Host-`, https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#name-the-__host-prefix), and gateways below paths of one
// host have one each.
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { Env } from "../env.ts";

export interface SignInCookie {
  read(c: Context<Env>): string | undefined;
  write(c: Context<Env>, value: string, maxAgeS: number): void;
  remove(c: Context<Env>): void;
}

const baseName = "sluice_sign_in";

/** `publicUrl` as in `RouteDeps`. */
export function createSignInCookie(publicUrl: string | undefined): SignInCookie {
  const known = publicUrl === undefined ? undefined : new URL(publicUrl);
  const of = (c: Context<Env>) => {
    const asked = new URL(c.req.url);
    const isSecure = (known ?? asked).protocol === "https:";
    // Somebody at the machine itself comes without the proxy, and so without its path.
    const path = known?.host === asked.host ? `${known.pathname.replace(/\/$/, "")}/` : "/";
    const prefix = path === "/" ? "__Host-" : "__Secure-";
    return { name: isSecure ? `${prefix}${baseName}` : baseName, options: { path, secure: isSecure } };
  };
  return {
    read: (c) => getCookie(c, of(c).name),
    write(c, value, maxAge) {
      const { name, options } = of(c);
      setCookie(c, name, value, { ...options, httpOnly: true, sameSite: "Strict", maxAge });
    },
    remove(c) {
      const { name, options } = of(c);
      deleteCookie(c, name, options);
    },
  };
}
