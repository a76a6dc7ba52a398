import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseQuery } from '../../../src/registry-api/endpoints/query.ts'

const NOTHING = { ns: undefined, n: undefined, last: undefined, artifactType: undefined }

test('the parameters that matter are found, the first of each', () => {
  assert.deepEqual(parseQuery(''), NOTHING)
  assert.deepEqual(parseQuery('ns=docker.io'), { ...NOTHING, ns: 'docker.io' })
  assert.deepEqual(parseQuery('ns=localhost%3A5000&ns=other'), { ...NOTHING, ns: 'localhost:5000' })
  assert.deepEqual(parseQuery('x=1&n=5&last=a=b&&'), { ...NOTHING, n: '5', last: 'a=b' })
  assert.deepEqual(parseQuery('artifactType=a%2Fb%2Bc+d'), { ...NOTHING, artifactType: 'a/b+c d' })
  assert.deepEqual(parseQuery('n'), { ...NOTHING, n: '' })
  assert.deepEqual(parseQuery('last=%zz'), { ...NOTHING, last: '%zz' })
  assert.deepEqual(parseQuery('__proto__=1&constructor=2'), NOTHING)
})

test('it reads what URLSearchParams writes', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (ns, last) => {
      const wellFormed = new URLSearchParams({ ns, last })
      assert.equal(parseQuery(wellFormed.toString()).ns, wellFormed.get('ns'))
      assert.equal(parseQuery(wellFormed.toString()).last, wellFormed.get('last'))
    }),
  )
})
