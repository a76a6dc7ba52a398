import type { Agent } from '../../agent.ts'
import type { Settings } from '../../config/schema.ts'
import { formatAddress, isLoopback, type SocketAddress } from '../../config/values/address.ts'
import type { Log } from '../../observe/log/log.ts'
import type { Terminal } from '../context/command.ts'

/** Logs where the agent serves, and which of its settings should be changed. */
export async function announce(
  agent: Agent,
  settings: Settings,
  log: Log,
  terminal: Terminal,
): Promise<void> {
  const { registry, admin, metrics } = agent.addresses
  const where = formatAddress(registry)
  const tls = settings.tlsCert !== undefined
  log.info('serving', {
    version: terminal.version,
    registry: where,
    admin: admin === undefined ? undefined : formatAddress(admin),
    metrics: metrics === undefined ? undefined : formatAddress(metrics),
    tls,
    data: settings.data,
  })
  if (!isLoopback(registry.host) && !tls) {
    log.warn('the registry API is reachable from other machines without TLS; give --tls-cert and --tls-key', {
      registry: where,
    })
  }
  if (!isLoopback(registry.host) && settings.redirects.length > 0 && settings.allow === undefined) {
    log.warn('clients that name no redirected host can pull from any registry; set allow', {
      registry: where,
    })
  }
  const asksForToken = (settings.adminTokenFile ?? settings.adminAuth) !== undefined
  if (admin !== undefined && !isLoopback(admin.host) && !asksForToken) {
    log.warn(
      'the admin API is reachable from other machines: they can read the cache and remove its content; set adminAuth',
      {
        admin: formatAddress(admin),
      },
    )
  }
  for (const warning of agent.warnings) log.warn(warning)
  for (const { namespace } of settings.upstreams.filter((upstream) => upstream.acceptInvalidCerts)) {
    log.warn('the certificates of this upstream are not verified', { namespace })
  }
  if (terminal.isInteractive)
    await terminal.out(greeting(agent.addresses, { tls, adminTls: settings.adminTls !== undefined }))
}

/** Shows a person who starts the agent in a terminal how to try it. */
function greeting(
  { registry, admin }: Agent['addresses'],
  { tls, adminTls }: { tls: boolean; adminTls: boolean },
): string {
  const at = reachable(registry)
  const image = `${at}/docker.io/library/alpine`
  return [
    `Leat serves images at ${tls ? 'https' : 'http'}://${at} (press Ctrl-C to stop). Try it from another terminal:`,
    `  podman pull ${tls ? '' : '--tls-verify=false '}${image}`,
    `  docker pull ${image}`,
    ...(admin === undefined
      ? []
      : [`See what it does at ${adminTls ? 'https' : 'http'}://${reachable(admin)}/, or with agent status.`]),
    '',
  ].join('\n')
}

function reachable({ host, port }: SocketAddress): string {
  return formatAddress({ host: host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host, port })
}
