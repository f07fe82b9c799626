"""Certificates of the tests' own authority, made anew in each run."""

import datetime
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# What a certificate has to say is what OpenSSL wants that is asked to be strict, as Python asks it from 3.13 on.
USAGES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
          "encipher_only", "decipher_only")  # fmt: skip

DAY = datetime.timedelta(days=1)


def alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """A certificate authority; self.bundle is the file that trusts it."""

    def __init__(self, directory, name="authority"):
        self.directory, self.name = directory, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"bulla tests {name}")])
        self.certificate = self.sign(self.subject, self.key, [], x509.BasicConstraints(ca=True, path_length=0))
        self.bundle = directory / f"{name}.pem"
        self.bundle.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, subject, key, names, constraints, days=(-1, 30)):
        start, end = (datetime.datetime.now(datetime.timezone.utc) + n * DAY for n in days)
        builder = x509.CertificateBuilder(self.subject, subject, key.public_key(), x509.random_serial_number(), start, end)
        usage = dict.fromkeys(USAGES, False) | {"key_cert_sign" if constraints.ca else "digital_signature": True}
        for extension, critical in (
            (constraints, True),
            (x509.KeyUsage(**usage), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False),
        ):
            builder = builder.add_extension(extension, critical=critical)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative(n) for n in names]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, *names, days=(-1, 30)):
        """The TLS of a server that has these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        certificate = self.sign(subject, key, names, x509.BasicConstraints(ca=False, path_length=None), days)
        pair = self.directory / f"{self.name}-{x509.random_serial_number()}.pem"
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        pair.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        context.pair = pair  # for servers that want the file
        return context
