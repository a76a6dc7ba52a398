import { SETTINGS, type Setting, type SettingName } from './schema.ts'
import { type JsonSchema, needs } from './values/format.ts'

/** Rules for several settings of the file, which `load.ts` checks. */
const RULES: readonly JsonSchema[] = [
  needs('tlsCert', 'tlsKey'),
  needs('tlsKey', 'tlsCert'),
  {
    anyOf: [
      {
        not: {
          required: ['auth'],
          properties: { auth: { type: 'object', required: ['clientCertificates'] } },
        },
      },
      { required: ['tlsCert'] },
    ],
  },
]

/** The JSON Schema of the configuration file, for editors; it follows from the table of settings. */
export function configFileSchema(): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Configuration file of Leat',
    ...settingsSchema((Object.keys(SETTINGS) as SettingName[]).filter((name) => SETTINGS[name].inFile)),
  }
}

/** The JSON Schema of a map with these settings and no others. */
export function settingsSchema(names: readonly SettingName[]): JsonSchema {
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, propertyOf(SETTINGS[name])])),
    additionalProperties: false,
    allOf: RULES,
  }
}

function propertyOf({ format, help, defaultText, example, flag }: Setting<unknown>): JsonSchema {
  const { description, ...rest } = format.jsonSchema
  const sentences = [`${help[0]?.toUpperCase()}${help.slice(1)}.`, description, `Default: ${defaultText}.`]
  return {
    description: sentences.filter((sentence) => sentence !== undefined).join(' '),
    ...rest,
    // The example of a setting without a flag is written in YAML.
    ...(flag === undefined ? {} : { examples: [example] }),
  }
}
