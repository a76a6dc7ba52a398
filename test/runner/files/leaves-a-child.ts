import { spawn } from 'node:child_process'
import { test } from 'node:test'

test('one that leaves a child, which holds its output', () => {
  const child = spawn('sleep', ['600'], { stdio: 'inherit' })
  child.unref()
  console.log(`child ${child.pid}`)
})
