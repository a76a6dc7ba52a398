import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RuntimeFailure } from '../../../src/runtimes/files/failure.ts'
import { withDockerMirror, withoutDockerMirror } from '../../../src/runtimes/kinds/daemon-json.ts'
import { fc } from '../../../testkit/property-runs.ts'
import { DAEMON, MIRROR_URL } from '../install-fixture.ts'

test('only the mirrors are changed', () => {
  const table: readonly [before: string | undefined, after: string][] = [
    [undefined, `{\n  "registry-mirrors": ["${MIRROR_URL}"]\n}\n`],
    ['', `{\n  "registry-mirrors": ["${MIRROR_URL}"]\n}\n`],
    ['{}', `{\n  "registry-mirrors": ["${MIRROR_URL}"]\n}`],
    ['{"debug":true}', `{"debug":true, "registry-mirrors": ["${MIRROR_URL}"]}`],
    [
      '{\n\t"debug": true,\n\t"dns": [ "1.1.1.1" ]\n}\n',
      `{\n\t"debug": true,\n\t"dns": [ "1.1.1.1" ],\n\t"registry-mirrors": ["${MIRROR_URL}"]\n}\n`,
    ],
    [
      '{"registry-mirrors": ["https://a"], "x": 1e2}',
      `{"registry-mirrors": ["${MIRROR_URL}", "https://a"], "x": 1e2}`,
    ],
    [
      '{\r\n  "registry-mirrors": [\r\n    "https://a"\r\n  ]\r\n}',
      `{\r\n  "registry-mirrors": [\r\n    "${MIRROR_URL}",\r\n    "https://a"\r\n  ]\r\n}`,
    ],
    ['{ "registry-mirrors": [ ] }', `{ "registry-mirrors": ["${MIRROR_URL}"] }`],
    ['{ "registry-mirrors": null }', `{ "registry-mirrors": ["${MIRROR_URL}"] }`],
    [
      '{ "a\\"]": "}{", "b": {"registry-mirrors": 1} }',
      `{ "a\\"]": "}{", "b": {"registry-mirrors": 1}, "registry-mirrors": ["${MIRROR_URL}"] }`,
    ],
  ]
  for (const [before, after] of table) assert.equal(withDockerMirror(before, MIRROR_URL, DAEMON), after)
})

test('a mirror that is in the list already is not moved', () => {
  const text = `{"registry-mirrors": ["https://a", "${MIRROR_URL}/"]}`
  assert.equal(withDockerMirror(text, MIRROR_URL, DAEMON), text)
})

test('a file that Docker could not read is an error', () => {
  for (const text of ['{', '[]', '"x"', '{"registry-mirrors": "x"}', '{"a": 1,}', '\ufeff{}']) {
    assert.throws(() => withDockerMirror(text, MIRROR_URL, DAEMON), RuntimeFailure)
  }
})

test('after others have changed the file, only the mirror is removed', () => {
  const table: readonly [before: string | undefined, now: string, rest: string | undefined][] = [
    [undefined, `{\n  "registry-mirrors": ["${MIRROR_URL}"]\n}\n`, undefined],
    [
      undefined,
      `{\n  "registry-mirrors": ["${MIRROR_URL}"],\n  "debug": true\n}\n`,
      '{\n  "debug": true\n}\n',
    ],
    ['{"a":1}', `{"a":2, "registry-mirrors": ["${MIRROR_URL}"]}`, '{"a":2}'],
    [
      '{"a":1}',
      `{"registry-mirrors": ["https://b", "${MIRROR_URL}"]}`,
      '{"registry-mirrors": ["https://b"]}',
    ],
    [
      '{"registry-mirrors": []}',
      `{"x": 1, "registry-mirrors": ["${MIRROR_URL}"]}`,
      '{"x": 1, "registry-mirrors": []}',
    ],
    ['{}', '{"debug": true}', '{"debug": true}'],
    ['{}', `{"registry-mirrors": ["${MIRROR_URL}"]}`, '{}'],
  ]
  for (const [before, now, rest] of table) {
    assert.equal(withoutDockerMirror(now, MIRROR_URL, { before, path: DAEMON }), rest)
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

test('adding and removing the mirror changes no other setting', () => {
  fc.assert(
    fc.property(settings, fc.constantFrom(0, 2, '\t'), (given, indent) => {
      const text = JSON.stringify(given, undefined, indent)
      const after = withDockerMirror(text, MIRROR_URL, DAEMON)
      const mirrors = given['registry-mirrors'] ?? []
      const plain = JSON.parse(text)
      assert.deepEqual(JSON.parse(after), { ...plain, 'registry-mirrors': [MIRROR_URL, ...mirrors] })
      const rest = withoutDockerMirror(after, MIRROR_URL, { before: text, path: DAEMON }) ?? assert.fail()
      assert.deepEqual(JSON.parse(rest), plain)
    }),
  )
})
