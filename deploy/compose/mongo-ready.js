// MongoDB's health check. Makes the replica set of this one node where there is none yet, then says by the exit status
// whether it is a primary that takes writes.
try {
  rs.status();
} catch (error) {
  if (error.codeName !== 'NotYetInitialized') throw error;
  const name = db.adminCommand({ getCmdLineOpts: 1 }).parsed.replication.replSet;
  rs.initiate({ _id: name, members: [{ _id: 0, host: 'mongo:27017' }] });
}
quit(db.hello().isWritablePrimary ? 0 : 1);
