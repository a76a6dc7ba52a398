import { docker } from './docker.ts'
import { pullsThroughTheAgent } from './pulls.ts'

pullsThroughTheAgent(docker)
