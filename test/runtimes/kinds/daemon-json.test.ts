import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RuntimeFailure } from '../../../src/runtimes/files/failure.ts'
import { withDockerMirror, withoutDockerMirror } from '../../../src/runtimes/kinds/daemon-json.ts'

const URL = 'http://127.0.0.1:5050'
const PATH = '/etc/docker/daemon.json'

test('only what must be changed is changed', () => {
  const table: readonly [before: string | undefined, after: string][] = [
    [undefined, `{\n  "registry-mirrors": ["${URL}"]\n}\n`],
    ['', `{\n  "registry-mirrors": ["${URL}"]\n}\n`],
    ['{}', `{\n  "registry-mirrors": ["${URL}"]\n}`],
    ['{"debug":true}', `{"debug":true, "registry-mirrors": ["${URL}"]}`],
    [
      '{\n\t"debug": true,\n\t"dns": [ "1.1.1.1" ]\n}\n',
      `{\n\t"debug": true,\n\t"dns": [ "1.1.1.1" ],\n\t"registry-mirrors": ["${URL}"]\n}\n`,
    ],
    [
      '{"registry-mirrors": ["https://a"], "x": 1e2}',
      `{"registry-mirrors": ["${URL}", "https://a"], "x": 1e2}`,
    ],
    [
      '{\r\n  "registry-mirrors": [\r\n    "https://a"\r\n  ]\r\n}',
      `{\r\n  "registry-mirrors": [\r\n    "${URL}",\r\n    "https://a"\r\n  ]\r\n}`,
    ],
    ['{ "registry-mirrors": [ ] }', `{ "registry-mirrors": ["${URL}"] }`],
    ['{ "registry-mirrors": null }', `{ "registry-mirrors": ["${URL}"] }`],
    [
      '{ "a\\"]": "}{", "b": {"registry-mirrors": 1} }',
      `{ "a\\"]": "}{", "b": {"registry-mirrors": 1}, "registry-mirrors": ["${URL}"] }`,
    ],
  ]
  for (const [before, after] of table) assert.equal(withDockerMirror(before, URL, PATH), after)
})

test('a mirror that is there already is left where it is', () => {
  const text = `{"registry-mirrors": ["https://a", "${URL}/"]}`
  assert.equal(withDockerMirror(text, URL, PATH), text)
})

test('what Docker could not read is refused', () => {
  for (const text of ['{', '[]', '"x"', '{"registry-mirrors": "x"}', '{"a": 1,}', '\ufeff{}']) {
    assert.throws(() => withDockerMirror(text, URL, PATH), RuntimeFailure)
  }
})

test('after others have changed it, only the mirror goes', () => {
  const table: readonly [before: string | undefined, now: string, left: string | undefined][] = [
    [undefined, `{\n  "registry-mirrors": ["${URL}"]\n}\n`, undefined],
    [undefined, `{\n  "registry-mirrors": ["${URL}"],\n  "debug": true\n}\n`, '{\n  "debug": true\n}\n'],
    ['{"a":1}', `{"a":2, "registry-mirrors": ["${URL}"]}`, '{"a":2}'],
    ['{"a":1}', `{"registry-mirrors": ["https://b", "${URL}"]}`, '{"registry-mirrors": ["https://b"]}'],
    [
      '{"registry-mirrors": []}',
      `{"x": 1, "registry-mirrors": ["${URL}"]}`,
      '{"x": 1, "registry-mirrors": []}',
    ],
    ['{}', '{"debug": true}', '{"debug": true}'],
    ['{}', `{"registry-mirrors": ["${URL}"]}`, '{}'],
  ]
  for (const [before, now, left] of table) {
    assert.equal(withoutDockerMirror(now, URL, { before, path: PATH }), left)
  }
})

const settings = fc.record(
  {
    debug: fc.boolean(),
    labels: fc.array(fc.string()),
    'log-opts': fc.dictionary(
      fc.string(),
      fc.oneof(fc.string(), fc.double({ noDefaultInfinity: true, noNaN: true })),
    ),
    'registry-mirrors': fc.array(fc.constantFrom('https://a', 'https://b/')),
  },
  { requiredKeys: [] },
)

test('all other settings are as they were, with it and without it again', () => {
  fc.assert(
    fc.property(settings, fc.constantFrom(0, 2, '\t'), (given, indent) => {
      const text = JSON.stringify(given, undefined, indent)
      const after = withDockerMirror(text, URL, PATH)
      const mirrors = given['registry-mirrors'] ?? []
      const plain = JSON.parse(text)
      assert.deepEqual(JSON.parse(after), { ...plain, 'registry-mirrors': [URL, ...mirrors] })
      const left = withoutDockerMirror(after, URL, { before: text, path: PATH }) ?? assert.fail()
      assert.deepEqual(JSON.parse(left), plain)
    }),
  )
})
