import { SettingsError } from './values/settings-error.ts'

/** URLs of the proxies for requests to upstream; a URL may contain credentials. */
export interface Proxies {
  readonly http?: string
  readonly https?: string
  /** Hosts that are reached without a proxy, in the syntax of `NO_PROXY`. */
  readonly exceptions?: string
}

/** Reads the variables that curl and Go use; the lower-case name of a variable wins. */
export function readProxies(env: Readonly<Record<string, string | undefined>>): Proxies | undefined {
  const http = proxy('HTTP_PROXY', env)
  const https = proxy('HTTPS_PROXY', env)
  const exceptions = value('NO_PROXY', env)
  if (http === undefined && https === undefined) return undefined
  return Object.freeze({
    ...(http === undefined ? {} : { http }),
    ...(https === undefined ? {} : { https }),
    ...(exceptions === undefined ? {} : { exceptions }),
  })
}

function proxy(name: string, env: Readonly<Record<string, string | undefined>>): string | undefined {
  const given = value(name, env)
  if (given === undefined) return undefined
  // curl accepts `proxy:3128`, too.
  const text = given.includes('://') ? given : `http://${given}`
  if (!/^https?:$/.test(protocolOf(text) ?? '')) {
    throw new SettingsError(`${name} must be a URL such as http://proxy.example.com:3128`)
  }
  return text
}

function protocolOf(url: string): string | undefined {
  try {
    return new URL(url).protocol
  } catch {
    return undefined // The error would repeat the URL.
  }
}

function value(name: string, env: Readonly<Record<string, string | undefined>>): string | undefined {
  return env[name.toLowerCase()] || env[name] || undefined
}
