import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configFileSchema } from '../../../src/config/json-schema.ts'
import { runInProcess } from '../run-in-process.ts'

test('config show prints a settings file for people, and JSON for programs', async () => {
  const env = { LEAT_MAX_BYTES: '5GiB' }
  const text = await runInProcess(['config', 'show'], env)
  assert.equal(text.code, 0)
  assert.match(text.out, /\n# LEAT_MAX_BYTES\nmaxBytes: 5GiB\n/)
  assert.match(text.out, /\n# listen: 127\.0\.0\.1:5050\n/)
  const json = await runInProcess(['config', 'show', '--json'], env)
  const { file, settings } = JSON.parse(json.out)
  assert.equal(file, null)
  assert.deepEqual(settings.maxBytes, { value: '5GiB', from: 'LEAT_MAX_BYTES' })
  assert.deepEqual(settings.zone, { value: null, from: 'default' })
})

test('config show refuses wrong settings as agent serve does', async () => {
  const { code, err } = await runInProcess(['config', 'show'], { LEAT_LISTEN: '5050' })
  assert.equal(code, 2)
  assert.match(err, /^agent: LEAT_LISTEN is "5050"; expected host:port/)
})

test('config schema prints the JSON Schema of the settings file', async () => {
  const { code, out } = await runInProcess(['config', 'schema'])
  assert.equal(code, 0)
  assert.deepEqual(JSON.parse(out), JSON.parse(JSON.stringify(configFileSchema())))
})
