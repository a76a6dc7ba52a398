/** One instruction of a Dockerfile, with the lines that a backslash joins made one. */
export interface Instruction {
  readonly word: string
  readonly text: string
}

export interface Stage {
  readonly name: string
  readonly base: string
  readonly instructions: readonly Instruction[]
}

export function readDockerfile(text: string): Stage[] {
  const stages: { name: string; base: string; instructions: Instruction[] }[] = []
  const lines = text.split('\n').filter((line) => !/^\s*#/.test(line))
  for (const line of lines.join('\n').replaceAll('\\\n', ' ').split('\n')) {
    const [, word = '', rest = ''] = /^\s*([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (word === '') continue
    if (word === 'FROM') {
      const [base = '', , name = `${stages.length}`] = rest.split(/\s+/)
      stages.push({ name, base, instructions: [] })
    } else stages.at(-1)?.instructions.push({ word, text: rest.trim() })
  }
  return stages
}

/** The paths of a COPY; `from` is the stage it copies from, or undefined for the build context. */
export function copyOf(text: string): { from: string | undefined; sources: string[]; target: string } {
  const words = text.split(/\s+/)
  const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length)
  const paths = words.filter((word) => !word.startsWith('--'))
  return { from, sources: paths.slice(0, -1), target: paths.at(-1) ?? '' }
}

export function environmentOf(stage: Stage): Record<string, string> {
  const pairs = stage.instructions
    .filter(({ word }) => word === 'ENV')
    .flatMap(({ text }) => [...text.matchAll(/([A-Z_]+)=(\S+)/g)])
  return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, value]))
}

/** The JSON array that ENTRYPOINT, CMD and the CMD of HEALTHCHECK are written as. */
export function argumentsOf(stage: Stage, word: string): string[] {
  const text = stage.instructions.find((instruction) => instruction.word === word)?.text ?? ''
  const words: unknown = JSON.parse(text.slice(text.indexOf('[')))
  if (!Array.isArray(words)) throw new Error(`${word} is not written as an array`)
  return words.map(String)
}
