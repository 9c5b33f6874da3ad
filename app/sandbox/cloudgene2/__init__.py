"""The dialect of Cloudgene 2 (Restlet) and imputationserver 1: what differs from version 3."""
