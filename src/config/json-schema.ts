import { SETTINGS, type Setting } from './schema.ts'
import type { JsonSchema } from './values/format.ts'

/** The JSON Schema of the configuration file, for editors; it follows from the table of settings. */
export function configFileSchema(): JsonSchema {
  const settings: [string, Setting<unknown>][] = Object.entries(SETTINGS)
  const inFile = settings.filter(([, setting]) => setting.inFile)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Configuration file of Leat',
    type: 'object',
    properties: Object.fromEntries(inFile.map(([name, setting]) => [name, propertyOf(setting)])),
    additionalProperties: false,
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
