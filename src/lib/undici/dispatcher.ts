import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici'

/** Proxies for requests to other hosts, as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name them. */
export interface Proxies {
  readonly http?: string
  readonly https?: string
  /** Hosts that are asked without the proxy, in the syntax of `NO_PROXY`. */
  readonly exceptions?: string
}

/** What undici needs to know of TLS, for connections to the host itself and for those through a proxy. */
type Tls = NonNullable<EnvHttpProxyAgent.Options['requestTls']>

/** Makes the pool of connections of one client of undici, through the proxies if there are any. */
export function createDispatcher(
  { connect, ...settings }: Omit<Agent.Options, 'connect'> & { readonly connect: object },
  { tls, proxies }: { readonly tls: Tls; readonly proxies: Proxies | undefined },
): Dispatcher {
  const options: Agent.Options = { allowH2: false, ...settings, connect: { ...tls, ...connect } }
  if (proxies === undefined) return new Agent(options)
  return new EnvHttpProxyAgent({
    ...options,
    requestTls: tls,
    httpProxy: proxies.http ?? '',
    httpsProxy: proxies.https ?? '',
    noProxy: proxies.exceptions ?? '',
  })
}
