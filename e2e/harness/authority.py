"""A certificate authority made by openssl: certificates for servers and clients, old ones, revoked ones."""

from pathlib import Path

from .command import run


class Authority:
    """An authority; `ca` is its certificate, `crl` its list of what it revoked."""

    def __init__(self, directory, name="Example Authority"):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True)
        self.conf, self.ca, self.crl = self.dir / "ca.cnf", self.dir / "ca.pem", self.dir / "crl.pem"
        (self.dir / "index.txt").write_text("")
        (self.dir / "crlnumber").write_text("01\n")
        self.conf.write_text(f"""[ca]
default_ca = own
[own]
database = {self.dir}/index.txt
new_certs_dir = {self.dir}
certificate = {self.ca}
private_key = {self.dir}/ca.key
crlnumber = {self.dir}/crlnumber
rand_serial = yes
unique_subject = no
default_md = sha256
default_days = 10
default_crl_days = 10
policy = anything
[anything]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = supplied
emailAddress = optional
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
[client]
basicConstraints = CA:false
extendedKeyUsage = clientAuth
""")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10",
                      "-subj", f"/O=Example/CN={name}", "-extensions", "authority", "-config", self.conf,
                      "-keyout", self.dir / "ca.key", "-out", self.ca)
        self.revoke()

    def issue(self, name, kind="client", subject=None, when=()):
        """A certificate for `name`; returns a file with it and its key. `when` are its first and last second."""
        key, request, made = (self.dir / f"{name}{end}" for end in (".key", ".csr", ".crt"))
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config",
                      self.conf, "-subj", subject or f"/C=US/O=Example/CN={name}", "-keyout", key, "-out", request)
        times = ["-startdate", when[0], "-enddate", when[1]] if when else []
        self._openssl("ca", "-batch", "-notext", "-config", self.conf, "-extensions", kind, *times, "-in", request,
                      "-out", made)
        both = self.dir / f"{name}.pem"
        both.write_text(made.read_text() + key.read_text())
        return both

    def revoke(self, name=None):
        """Takes a certificate back, and writes the list anew."""
        if name:
            self._openssl("ca", "-config", self.conf, "-revoke", self.dir / f"{name}.crt")
        self._openssl("ca", "-config", self.conf, "-gencrl", "-out", self.crl)

    def _openssl(self, *arguments):
        return run("openssl", *arguments, cwd=self.dir)
