import { SETTINGS, type Setting } from '../../config/schema.ts'
import type { GivenEntry, GivenValue } from '../../config/values/format.ts'
import { SettingsError } from '../../config/values/settings-error.ts'
import type {
  FileSettings,
  ObjectStoreEntry,
  RedirectEntry,
  SourceEntry,
  UpstreamEntry,
} from './file-settings.ts'

/** Where the passwords of registries belong that stood in clear in the settings of another tool. */
const PASSWORD_FOLDER = '/etc/leat/passwords'

type Scalar = 'listen' | 'tlsCert' | 'tlsKey' | 'logLevel' | 'peersSecretFile' | 'defaultNamespace'

/**
 * The settings as far as they are known, and a sentence for each thing that has no counterpart. Every value is checked by
 * the settings table when it is added; an invalid one is left out with a sentence. So the result is always valid.
 */
export class Draft {
  readonly #withPasswords: boolean
  readonly #settings: FileSettings = {}
  readonly #upstreams = new Map<string, UpstreamEntry>()
  readonly #sources: SourceEntry[] = []
  readonly #redirects = new Map<string, RedirectEntry>()
  readonly #notes = new Set<string>()

  /** `withPasswords`: passwords that stand in clear are copied. */
  constructor({ withPasswords }: { withPasswords: boolean }) {
    this.#withPasswords = withPasswords
  }

  /** Adds a sentence about something that has no counterpart, or that the user has to do. */
  note(sentence: string): void {
    this.#notes.add(sentence)
  }

  set(name: Scalar, value: string | undefined): void {
    if (value === undefined) return
    const known = this.#settings[name]
    if (known !== undefined && known !== value) {
      this.note(`${name} stays ${quoted(known)}, so ${quoted(value)} is left out.`)
      return
    }
    if (this.#isValid(name, value)) this.#settings[name] = value
  }

  allow(patterns: readonly string[]): void {
    const all = [...new Set([...(this.#settings.allow ?? []), ...patterns])]
    if (all.length > 0 && this.#isValid('allow', all)) this.#settings.allow = all
  }

  source(entry: SourceEntry): void {
    const defined = withoutUndefined(entry)
    if (this.#isValid('sources', [defined])) this.#sources.push(defined)
  }

  objectStore(entry: ObjectStoreEntry): void {
    const defined = withoutUndefined(entry)
    const known = this.#settings.objectStore
    if (known !== undefined) {
      if (isOther(known, defined)) this.note(`objectStore stays ${known.url}, so ${entry.url} is left out.`)
    } else if (this.#isValid('objectStore', defined)) this.#settings.objectStore = defined
  }

  redirect(entry: RedirectEntry): void {
    if (this.#redirects.has(entry.host)) {
      this.note(`${entry.host} is redirected already, so ${entry.to} is left out.`)
    } else if (this.#isValid('redirects', [entry])) this.#redirects.set(entry.host, entry)
  }

  /** Adds an upstream, or completes the one of the same name. Fields that are not valid are left out, each with a sentence. */
  upstream(given: UpstreamEntry): void {
    const namespace = this.#namespaceOf(given.namespace)
    if (namespace === undefined) return
    let entry: UpstreamEntry = this.#upstreams.get(namespace) ?? { namespace }
    for (const fields of this.#groups(namespace, given)) {
      const clash = Object.entries(fields).find(([name, value]) =>
        isOther(entry[name as keyof UpstreamEntry], value),
      )
      if (clash !== undefined) {
        this.note(`${namespace} has another ${clash[0]} already, so the second one is left out.`)
        continue
      }
      const next = { ...entry, ...fields }
      if (this.#isValid('upstreams', [next])) entry = next
    }
    this.#upstreams.set(namespace, entry)
  }

  /** The settings and the sentences. */
  finish(): { readonly settings: FileSettings; readonly notes: readonly string[] } {
    const { tlsCert, tlsKey, ...settings } = this.#settings
    if ((tlsCert === undefined) !== (tlsKey === undefined)) {
      this.note('TLS needs a certificate and a key, and only one of them is given, so it is left out.')
    }
    const upstreams = [...this.#upstreams.values()].filter((entry) => Object.keys(entry).length > 1)
    return {
      settings: {
        ...settings,
        ...(tlsCert === undefined || tlsKey === undefined ? {} : { tlsCert, tlsKey }),
        ...(upstreams.length === 0 ? {} : { upstreams }),
        ...(this.#redirects.size === 0 ? {} : { redirects: [...this.#redirects.values()] }),
        ...(this.#sources.length === 0 ? {} : { sources: withLastExclusive(this.#sources) }),
      },
      notes: [...this.#notes],
    }
  }

  /** The one name of a registry, as the settings table reads it. */
  #namespaceOf(given: string): string | undefined {
    try {
      return SETTINGS.upstreams.format.read(givenValue('upstreams', [{ namespace: given }]))[0]?.namespace
    } catch (error) {
      this.#leaveOut(error)
      return undefined
    }
  }

  /** The fields of an entry, those together that are valid only together. */
  #groups(namespace: string, given: UpstreamEntry): readonly Partial<UpstreamEntry>[] {
    const { namespace: _namespace, username, password, passwordFile, ...single } = withoutUndefined(given)
    const groups: Partial<UpstreamEntry>[] = Object.entries(single).map(([name, value]) => ({
      [name]: value,
    }))
    if (username !== undefined && password !== undefined) {
      groups.push(this.#withPasswords ? { username, password } : this.#passwordFile(namespace, username))
    } else if (username !== undefined && passwordFile !== undefined) groups.push({ username, passwordFile })
    else if (username !== undefined)
      this.note(`${namespace} has a username without a password, so it is left out.`)
    return groups
  }

  #passwordFile(namespace: string, username: string): Partial<UpstreamEntry> {
    const passwordFile = `${PASSWORD_FOLDER}/${namespace.replaceAll(/[^a-z0-9.-]/g, '_')}`
    this.note(
      `Write the password for ${namespace} into ${passwordFile}, readable by the agent only; it is not copied.`,
    )
    return { username, passwordFile }
  }

  #isValid(name: keyof typeof SETTINGS, value: unknown): boolean {
    try {
      const { format }: Setting<unknown> = SETTINGS[name]
      format.read(givenValue(name, value))
      return true
    } catch (error) {
      this.#leaveOut(error)
      return false
    }
  }

  #leaveOut(error: unknown): void {
    if (!(error instanceof SettingsError)) throw error
    this.note(`A value is left out, because Leat does not accept it: ${error.message.replace(/\[0\]/g, '')}.`)
  }
}

/** The sources after an exclusive one would not be asked for its names, so only the last one keeps the others out. */
function withLastExclusive(sources: readonly SourceEntry[]): readonly SourceEntry[] {
  return sources.map(({ exclusive, ...source }, i) =>
    exclusive === undefined || i < sources.length - 1 ? source : { ...source, exclusive },
  )
}

/** A value as the configuration file would give it. */
function givenValue(name: string, value: unknown): GivenValue {
  const location = undefined
  if (Array.isArray(value)) {
    return { location, name, value: value.map((item, i) => givenValue(`${name}[${i}]`, item)) }
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, item]): [string, GivenEntry] => [
      key,
      { keyLocation: undefined, given: givenValue(`${name}.${key}`, item) },
    ])
    return { location, name, value: new Map(entries) }
  }
  return { location, name, value: String(value) }
}

function isOther(known: unknown, value: unknown): boolean {
  return known !== undefined && JSON.stringify(known) !== JSON.stringify(value)
}

function withoutUndefined<Entry extends object>(entry: Entry): Entry {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)) as Entry
}

function quoted(value: string): string {
  return JSON.stringify(value)
}
