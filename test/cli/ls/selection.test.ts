import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fillTemplate, imageMatcher } from '../../../src/cli/ls/selection.ts'
import type { ImageReport } from '../../../src/schemas/content-report.ts'

const image = (repository: string, tag: string): ImageReport => ({ repository, tag }) as ImageReport
const ALPINE = image('docker.io/library/alpine', '3')
const APP = image('reg.test/team/app', 'v1')
const DEEP = image('reg.test/team/a/b', 'v1')

test('a pattern means an image with or without registry, library and tag', () => {
  const table: readonly [string, readonly ImageReport[]][] = [
    ['alpine', [ALPINE]],
    ['alpine:3', [ALPINE]],
    ['alpine:4', []],
    ['library/alpine', [ALPINE]],
    ['docker.io/library/alpine:3', [ALPINE]],
    ['reg.test/team/*', [APP]],
    ['reg.test/**', [APP, DEEP]],
    ['team/app', [APP]],
    ['*:v1', []],
    ['**:v1', [APP, DEEP]],
    ['reg?test/team/app', []],
    ['reg.test/team/ap', []],
  ]
  for (const [pattern, expected] of table) {
    assert.deepEqual([ALPINE, APP, DEEP].filter(imageMatcher([pattern])), expected, pattern)
  }
  assert.equal(imageMatcher([])(APP), true)
  assert.equal(imageMatcher(['none', 'team/app'])(APP), true)
})

test('a template has the fields of an item, and an unknown field is named', () => {
  const item = { name: 'a:1', size: 5, platforms: ['x', 'y'], none: null }
  assert.deepEqual(fillTemplate('{name} {size} {platforms} [{none}]', item), { text: 'a:1 5 x,y []' })
  assert.deepEqual(fillTemplate('{name} {nome}', item), { unknown: 'nome' })
  assert.deepEqual(fillTemplate('{toString}', item), { unknown: 'toString' })
})
