import type { FileEntries } from './given-settings.ts'
import type { SettingName } from './schema.ts'
import { type GivenEntry, type GivenValue, refuse } from './values/format.ts'

/** A value of a setting in a program, with the same meaning as in the configuration file: `'50GiB'`, `true`, a list, a map. */
export type SettingValue =
  | string
  | number
  | boolean
  | readonly SettingValue[]
  | { readonly [key: string]: SettingValue | undefined }

/** The settings of a program, by their names in the configuration file. */
export type SettingsObject = {
  readonly [Name in Exclude<SettingName, 'config' | 'docker' | 'adminTokenFile' | 'adminCa'>]?:
    | SettingValue
    | undefined
}

/** Gives the settings of a program as those of a file are given. */
export function entriesOf(settings: object): FileEntries {
  return mapOf(settings, '')
}

function mapOf(map: object, path: string): ReadonlyMap<string, GivenEntry> {
  const entries = Object.entries(map).filter(([, value]) => value !== undefined)
  return new Map(
    entries.map(([key, value]) => {
      const name = path === '' ? key : `${path}.${key}`
      return [key, { keyLocation: undefined, given: givenOf(value, name) }]
    }),
  )
}

function givenOf(value: unknown, name: string): GivenValue {
  const given = { location: undefined, name }
  if (typeof value === 'string') return { ...given, value }
  if (typeof value === 'number' || typeof value === 'boolean') return { ...given, value: String(value) }
  if (Array.isArray(value)) {
    return { ...given, value: value.map((item: unknown, index) => givenOf(item, `${name}[${index}]`)) }
  }
  const isMap = typeof value === 'object' && value !== null && isPlain(value)
  if (isMap) return { ...given, value: mapOf(value, name) }
  const noun =
    value === null ? 'null' : typeof value === 'object' ? 'an object of a class' : `a ${typeof value}`
  return refuse(given, `is ${noun}; expected a text, a number, true, false, a list or a map`)
}

/** An object of a class, such as a date or a buffer, is not a map of settings. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
