import { readFile } from 'node:fs/promises'
import { rootCertificates } from 'node:tls'
import { loadSetting, type SettingSources } from '../../config/load.ts'
import type { SettingName, Settings } from '../../config/schema.ts'
import type { SocketAddress } from '../../config/values/address.ts'
import { Secret } from '../../config/values/secret.ts'
import { SettingsError } from '../../config/values/settings-error.ts'
import { errorCode } from '../../lib/error-code.ts'
import { CommandError, type Flag } from './command.ts'
import { settingFlags } from './settings.ts'

/** How a command reaches the admin API. */
export interface AdminTarget extends SocketAddress {
  readonly token?: Secret | undefined
  /** Whom the command trusts to have issued the certificate of the agent; undefined: the agent does not use TLS. */
  readonly authorities?: readonly string[] | undefined
}

/** The flags of commands that ask the agent. */
export function adminFlags(): readonly Flag[] {
  return settingFlags('admin', 'adminTokenFile', 'adminCa', 'config')
}

/**
 * Finds the agent, and the token and the authorities for it: those of the flags, or without `--admin` those of the settings
 * file, if it may be read.
 */
export async function adminTarget(sources: SettingSources): Promise<AdminTarget> {
  const address = await loadSetting('admin', sources)
  const tokenFile = await loadSetting('adminTokenFile', sources)
  const caFile = await loadSetting('adminCa', sources)
  // The token of this node's agent goes to no other address that somebody has typed.
  const isOwn = sources.flags['admin'] === undefined
  const auth = isOwn && tokenFile === undefined ? await fromFile('adminAuth', sources) : undefined
  const tls = isOwn && caFile === undefined ? await fromFile('adminTls', sources) : undefined
  const token = await tokenIn(tokenFile, auth)
  const trusted = caFile ?? tls?.cert
  const authorities =
    trusted === undefined ? undefined : [...rootCertificates, await contentOf(trusted, '--admin-ca')]
  return { ...address, token, authorities }
}

/** The settings file may hold passwords: whoever may not read it goes on without it. */
async function fromFile<Name extends SettingName>(
  name: Name,
  sources: SettingSources,
): Promise<Settings[Name] | undefined> {
  try {
    return await loadSetting(name, sources)
  } catch (error) {
    if (error instanceof SettingsError && isRefused(error.cause)) return undefined
    throw error
  }
}

async function tokenIn(
  given: string | undefined,
  auth: Settings['adminAuth'] | undefined,
): Promise<Secret | undefined> {
  if (given !== undefined) return new Secret((await contentOf(given, '--admin-token-file')).trim())
  for (const file of [auth?.tokenFile, auth?.readTokenFile]) {
    if (file === undefined) continue
    try {
      return new Secret((await readFile(file, 'utf8')).trim())
    } catch {
      // Only who may read a file of the agent has its token; the agent says what to do.
    }
  }
  return undefined
}

async function contentOf(path: string, flag: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const reason = errorCode(cause) ?? 'unknown error'
    throw new CommandError(`${path} cannot be read (${reason}); give ${flag} a file that you may read`, {
      cause,
    })
  }
}

function isRefused(cause: unknown): boolean {
  return ['EACCES', 'EPERM'].includes(errorCode(cause) ?? '')
}
