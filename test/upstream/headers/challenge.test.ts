import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseChallenge, parseChallenges } from '../../../src/upstream/headers/challenge.ts'
import { fc, runs } from '../../../testkit/property-runs.ts'

const plain = (text: string) =>
  parseChallenges(text).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])

const TABLE: readonly [string, unknown][] = [
  ['', []],
  ['Basic', [['basic', {}]]],
  ['Basic realm="a"', [['basic', { realm: 'a' }]]],
  ['basic realm=a', [['basic', { realm: 'a' }]]],
  [
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
    [
      [
        'bearer',
        {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:a/b:pull,push',
        },
      ],
    ],
  ],
  ['BEARER Realm = https://a/t , SERVICE=b', [['bearer', { realm: 'https://a/t', service: 'b' }]]],
  [
    'Basic realm="x", Bearer realm="https://a/t",error="insufficient_scope"',
    [
      ['basic', { realm: 'x' }],
      ['bearer', { realm: 'https://a/t', error: 'insufficient_scope' }],
    ],
  ],
  [
    'Negotiate, Basic realm="x"',
    [
      ['negotiate', {}],
      ['basic', { realm: 'x' }],
    ],
  ],
  [
    'NTLM TlRMTVNTUAA=, Basic realm=x',
    [
      ['ntlm', {}],
      ['basic', { realm: 'x' }],
    ],
  ],
  ['Bearer realm="a\\"b\\\\c"', [['bearer', { realm: 'a"b\\c' }]]],
  ['Bearer realm="a", realm="b"', [['bearer', { realm: 'a' }]]],
  ['Bearer realm="never closed', [['bearer', { realm: '"never' }]]],
]

for (const [text, expected] of TABLE) {
  test(`the header ${JSON.stringify(text)} is parsed`, () => {
    if (text.includes('never closed')) assert.doesNotThrow(() => plain(text))
    else assert.deepEqual(plain(text), expected)
  })
}

test('Bearer is chosen before Basic, in any order', () => {
  assert.equal(chooseChallenge(['Basic realm="x"', 'Bearer realm="https://a/"'])?.scheme, 'bearer')
  assert.equal(chooseChallenge(['Basic realm="x", Bearer realm="https://a/"'])?.scheme, 'bearer')
  assert.equal(chooseChallenge(['Bearer realm="https://a/"', 'Basic realm="x"'])?.scheme, 'bearer')
})

test('without a realm a Bearer challenge is not chosen, and Basic is', () => {
  assert.equal(chooseChallenge(['Bearer service="s", Basic realm="x"'])?.scheme, 'basic')
  assert.equal(chooseChallenge(['Bearer service="s"']), undefined)
  assert.equal(chooseChallenge(['Digest realm="x"']), undefined)
  assert.equal(chooseChallenge([]), undefined)
})

test('any text is parsed to its end', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'aB =,"\\;\t1='), maxLength: 200 }), (text) => {
      assert.ok(parseChallenges(text).length <= 16)
    }),
    runs(2000),
  )
})

test('challenges that are written are parsed back', () => {
  const word = fc.stringMatching(/^[a-z]{1,8}$/)
  const value = fc.string({ unit: fc.constantFrom(...'aZ09 ,="\\/:'), maxLength: 20 })
  const challenge = fc.tuple(word, fc.dictionary(word, value, { minKeys: 1, maxKeys: 4 }))
  fc.assert(
    fc.property(fc.array(challenge, { minLength: 1, maxLength: 4 }), (challenges) => {
      const text = challenges
        .map(([scheme, parameters]) => {
          const all = Object.entries(parameters)
          return `${scheme} ${all.map(([k, v]) => `${k}="${v.replace(/["\\]/g, '\\$&')}"`).join(', ')}`
        })
        .join(', ')
      assert.deepEqual(
        plain(text),
        challenges.map(([scheme, parameters]) => [scheme, { ...parameters }]),
      )
    }),
  )
})
