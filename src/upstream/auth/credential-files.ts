import { FileProblem, WatchedFile } from '../../lib/watched-file.ts'
import { publish } from '../../observe/events.ts'
import { type DockerConfig, parseDockerConfig } from './docker-config.ts'

export function passwordFile(path: string): WatchedFile<string> {
  return watched(path, (text) => {
    const password = text.replace(/\r?\n$/, '')
    if (password === '') throw new FileProblem(path, `${path} is empty; expected a password`)
    return password
  })
}

export function dockerConfigFile(path: string): WatchedFile<DockerConfig> {
  return watched(path, (text) => parseDockerConfig(text, path))
}

function watched<Value>(path: string, parse: (text: string) => Value): WatchedFile<Value> {
  const onProblem = (problem: FileProblem | undefined): void =>
    publish('file.checked', { file: path, problem: problem?.message })
  return new WatchedFile(path, { parse, onProblem })
}
