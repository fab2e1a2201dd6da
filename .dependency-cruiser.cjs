/**
 * Data flows one way: kernel → ring → decoder → Event → StateGraph → scene/rules → api → cli. Each folder
 * of src/ may import the ones named here and itself; `util` and `events` are anyone's.
 */
const MAY_IMPORT = {
  util: [],
  events: [],
  xid: [],
  ffi: [],
  kernel: ['ffi'],
  probes: ['ffi', 'kernel', 'xid'],
  graph: ['xid'],
  scene: ['graph', 'xid'],
  rules: ['graph', 'scene'],
  diag: ['rules', 'graph', 'scene'],
  metrics: ['kernel', 'graph', 'rules'],
  api: ['scene', 'graph', 'rules'],
  agent: ['ffi', 'kernel', 'probes', 'graph', 'scene', 'rules', 'metrics', 'api'],
  cli: ['api', 'scene', 'graph', 'rules', 'diag'],
};

const folderRules = Object.entries(MAY_IMPORT).map(([folder, others]) => {
  const allowed = [folder, 'util', ...(folder === 'util' ? [] : ['events']), ...others];
  return {
    name: `${folder}-imports-only-${others.join('-') || 'util-and-events'}`,
    severity: 'error',
    from: { path: `^src/${folder}/` },
    to: { path: '^src/', pathNot: `^src/(${allowed.join('|')})/` },
  };
});

module.exports = {
  forbidden: [
    ...folderRules,
    {
      name: 'only-ffi-knows-an-ffi-package',
      severity: 'error',
      from: { pathNot: '^src/ffi/' },
      to: { path: 'node_modules/(ffi-napi|ref-napi|ref-struct-di)/' },
    },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'src-needs-no-test-and-no-dev-dependency',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|scripts)/' },
    },
    {
      name: 'runtime-dependencies-only',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
