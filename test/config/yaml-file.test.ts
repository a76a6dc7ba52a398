import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SettingsError } from '../../src/config/values/settings-error.ts'
import { readYaml } from '../../src/config/yaml-file.ts'
import { fc } from '../../testkit/property-runs.ts'

function problemOf(source: string): string {
  try {
    readYaml(source, 'c.yaml')
  } catch (error) {
    assert.ok(error instanceof SettingsError)
    return error.message
  }
  return 'no problem'
}

test('scalars stay texts as they were written', () => {
  const read = readYaml('a: 0123\nb: 1e3\nc: true\nd: "x # y"\ne: ~\nf:\n', 'c.yaml')
  const values = [...read.values()].map(({ given }) => given.value)
  assert.deepEqual(values, ['0123', '1e3', 'true', 'x # y', '~', ''])
})

test('every value has its line, also inside lists', () => {
  const read = readYaml('# first\n\na:\n  - b: 1\n\n    c: 2\n  - d\n', 'c.yaml')
  const list = read.get('a')?.given.value
  assert.ok(Array.isArray(list))
  const [first, second] = list
  assert.equal(first.value.get('c').given.location, 'c.yaml:6')
  assert.equal(first.value.get('c').given.name, 'a[0].c')
  assert.equal(second.location, 'c.yaml:7')
})

test('an empty file, and a file with comments only, have no settings', () => {
  for (const source of ['', '\n', '# nothing\n', '---\n', '---\n# nothing\n']) {
    assert.equal(readYaml(source, 'c.yaml').size, 0, JSON.stringify(source))
  }
})

test('a text that is not YAML is refused with the line of the mistake', () => {
  assert.match(problemOf('a: 1\nb: 2\na: 3\n'), /^c\.yaml:3: "a" is given twice/)
  assert.match(problemOf('u:\n  - n: x\n    n: y\n'), /^c\.yaml:3: "n" is given twice/)
  assert.match(problemOf('a: 1\n\tb: 2\n'), /^c\.yaml:2: .*Tabs are not allowed/)
  assert.match(problemOf('a: 1\n---\nb: 2\n'), /^c\.yaml:2: a second YAML document/)
  assert.match(problemOf('- a\n'), /^c\.yaml:1: expected "setting: value"/)
  assert.match(problemOf('just words\n'), /^c\.yaml:1: expected "setting: value"/)
  assert.match(problemOf('a: &x 1\nb: *x\n'), /^c\.yaml:1: YAML anchors and aliases cannot be used; quote/)
  assert.match(problemOf('a: 1\n[b]: 2\n'), /^c\.yaml:2: a key must be a plain word/)
})

test('the error for a password that is not valid YAML does not repeat it', () => {
  for (const source of [
    'password: *hunter2\n',
    'password: @hunter2\n',
    'password: `hunter2\n',
    'password: !hunter2 x\n',
    'password: %hunter2\n',
    '%hunter2\n---\na: 1\n',
    'password: "\\hunter2"\n',
    'password: "hunter2\n',
    'password: |hunter2\n  x\n',
    'password: [hunter2\n',
    'password: a: hunter2\n',
    'password: {hunter2: ]\n',
    'password: &hunter2 x\n',
    'password: ]hunter2\n',
  ]) {
    const problem = problemOf(source)
    assert.notEqual(problem, 'no problem', source)
    assert.ok(!problem.includes('unter2'), `${source} → ${problem}`)
    assert.match(problem, /^c\.yaml:\d+: /)
  }
})

test('reading fails only with a message, whatever the text', () => {
  const piece = fc.constantFrom(
    'a',
    ': ',
    '\n',
    '- ',
    '  ',
    '"',
    "'",
    '[',
    ']',
    '{',
    '}',
    '&a ',
    '*a ',
    '!t ',
    '#',
    '|',
    '>',
    '?',
    ',',
    '%',
    '---',
    '\t',
    '<<',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const problem = problemOf(pieces.join(''))
      assert.ok(problem === 'no problem' || /^c\.yaml:\d+: [^\n]+$/.test(problem), problem)
    }),
  )
})
